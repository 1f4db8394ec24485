"""A table whose contract has a rule of every kind, good rows for three days, and an audit over changed ones."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from orderlake.contracts.checks import CheckSpec, compile_checks
from orderlake.contracts.iceberg import contract_spec, iceberg_schema
from orderlake.contracts.model import Contract
from orderlake.contracts.odcs import load_contract
from orderlake.curation.audit import Audit, Finding
from orderlake.curation.evidence import Evidence, published_evidence, staged_evidence
from orderlake.lake.catalog import Lake
from orderlake.lake.commit import Change, commit
from orderlake.lake.duck import DuckSession
from orderlake.lake.files import DataFileWriter
from orderlake.lake.partitions import partition_files
from orderlake.lake.pins import pin
from orderlake.times import day_ordinal
from tests.inprocess.conftest import DAY

DAYS = [DAY + dt.timedelta(days=n) for n in range(3)]
Row = dict[str, Any]

CONTRACT = """
apiVersion: v3.2.0
kind: DataContract
id: urn:test:guarded
version: 1.0.0
status: active
team: {name: own}
schema:
  - name: guarded
    physicalName: analytics.guarded
    physicalType: table
    properties:
      - {name: id, logicalType: integer, physicalType: long, required: true, primaryKey: true}
      - {name: at, logicalType: timestamp, required: true, partitioned: true}
      - {name: must, logicalType: string, required: true}
      - {name: status, logicalType: string, enum: [{value: NEW}, {value: DONE}]}
      - {name: level, logicalType: integer, enum: [{value: 1}, {value: 2}]}
      - {name: code, logicalType: string, logicalTypeOptions: {pattern: "^[A-Z]{3}$"}}
      - {name: ref, logicalType: string, logicalTypeOptions: {format: uuid}}
      - {name: name, logicalType: string, logicalTypeOptions: {minLength: 2}}
      - {name: label, logicalType: string, logicalTypeOptions: {maxLength: 5}}
      - {name: price, logicalType: number, physicalType: "decimal(10,2)", logicalTypeOptions: {minimum: 0.5}}
      - {name: weight, logicalType: integer, physicalType: long, logicalTypeOptions: {maximum: 99}}
      - {name: ratio, logicalType: number, physicalType: double, logicalTypeOptions: {exclusiveMinimum: 0}}
      - {name: share, logicalType: number, physicalType: double, logicalTypeOptions: {exclusiveMaximum: 1}}
      - {name: steps, logicalType: integer, logicalTypeOptions: {multipleOf: 5}}
      - {name: serial, logicalType: string, unique: true}
      - name: email
        logicalType: string
        quality: [{name: email_is_given, metric: nullValues, mustBe: 0}]
      - name: phone
        logicalType: string
        quality:
          - {name: phone_is_given, metric: missingValues, arguments: {missingValues: ["", n/a, null]}, mustBe: 0}
      - name: country
        logicalType: string
        quality:
          - {name: country_is_known, metric: invalidValues, arguments: {validValues: [DE, FR]}, mustBe: 0}
      - name: zip
        logicalType: string
        quality:
          - {name: zip_is_valid, metric: invalidValues, arguments: {pattern: "^[0-9]{5}$"}, mustBe: 0}
      - name: note
        logicalType: string
        quality: [{name: notes_are_common, metric: nullValues, mustBeLessThan: 20, unit: percent, severity: info}]
      - {name: box, logicalType: string}
      - {name: place, logicalType: integer}
      - {name: low, logicalType: integer}
      - {name: high, logicalType: integer}
    quality:
      - {name: one_place_in_a_box, metric: duplicateValues, arguments: {properties: [box, place]}, mustBe: 0}
      - {name: boxes_differ, metric: duplicateValues, arguments: {properties: [box]}, mustBeLessThan: 90, unit: percent}
      - {name: about_ten_a_day, metric: rowCount, mustBeBetween: [10, 12], severity: warning}
      - {name: low_is_below_high, type: sql, query: "select count(*) from {object} where low >= high", mustBe: 0}
"""


def good_row(day: dt.date, number: int) -> Row:
    """A row that keeps every rule, at its very edge where a rule has one; the first of a day has no note."""
    identity = (day - DAY).days * 100 + number
    return {
        "id": identity, "at": dt.datetime.combine(day, dt.time(number, tzinfo=dt.UTC)), "must": "",
        "status": "NEW" if number % 2 else "DONE", "level": 1 + number % 2, "code": "ABC",
        "ref": f"00000000-0000-4000-8000-{identity:012d}", "name": "né", "label": "ééééé", "price": Decimal("0.50"),
        "weight": 99, "ratio": 1e-9, "share": 0.999, "steps": 5 * number, "serial": f"S-{identity}", "email": "",
        "phone": "1", "country": "DE", "zip": "01234", "note": "n" if number else None, "box": f"B-{number % 2}",
        "place": number, "low": 0, "high": 1,
    }  # fmt: skip


def good_rows() -> list[Row]:
    """Ten rows a day."""
    return [good_row(day, number) for day in DAYS for number in range(10)]


@dataclass
class Guarded:
    """The table, and audits over rows for it."""

    lake: Lake
    contract: Contract
    table: Table = field(init=False)

    def __post_init__(self) -> None:
        schema = iceberg_schema(self.contract.columns)
        self.table = self.lake.create(self.contract.physical_name, schema, contract_spec(self.contract, schema), {})

    @property
    def checks(self) -> tuple[CheckSpec, ...]:
        return compile_checks(self.contract)

    def write(self, rows: Sequence[Row]) -> list[DataFile]:
        """Write data files as a build stages them."""
        writer = DataFileWriter(self.table, optional=True)
        ordinals = pa.array([day_ordinal(row["at"].date()) for row in rows], pa.int64()).to_numpy()
        if rows:
            writer.write(pa.RecordBatch.from_pylist(list(rows), schema=writer.schema), ordinals)
        return writer.close()

    def publish(self, rows: Sequence[Row]) -> None:
        """Make rows the only ones of the table."""
        files = self.write(rows)
        everything = range(day_ordinal(DAYS[0]), day_ordinal(DAYS[-1]) + 1)
        old = partition_files(self.table, self.table.metadata, everything)
        commit(self.table, lambda _: Change(append=files, delete=list(old.values())))

    def audit_staged(
        self,
        files: Sequence[DataFile],
        checks: Sequence[CheckSpec] | None = None,
        evidence: Evidence | None = None,
    ) -> list[Finding]:
        """Audit files before they are published."""

        def attach() -> str:
            session.attach_files("staged", [file.file_path for file in files])
            return "staged"

        with DuckSession() as session:
            known = evidence or staged_evidence(self.contract, self.table, files)
            return Audit(session, self.contract, attach, known).evaluate(
                self.checks if checks is None else checks, DAYS
            )

    def audit_published(self, checks: Sequence[CheckSpec] | None = None) -> list[Finding]:
        """Audit what the table holds now."""
        pinned = pin(self.lake.load(self.contract.physical_name))
        with DuckSession() as session:
            session.attach([pinned])
            audit = Audit(session, self.contract, lambda: pinned.name, published_evidence(self.contract, pinned))
            return audit.evaluate(self.checks if checks is None else checks, DAYS)


@pytest.fixture
def guarded(lake: Lake, tmp_path: Path) -> Guarded:
    path = tmp_path / "contracts" / "tables" / "analytics" / "guarded.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(CONTRACT)
    return Guarded(lake, load_contract(path, "table"))
