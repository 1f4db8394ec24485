"""Statistics may prove that a rule holds, and must not where they could be wrong."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from pyiceberg.conversions import to_bytes
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat, ManifestContent, ManifestFile
from pyiceberg.schema import Schema
from pyiceberg.typedef import Record
from pyiceberg.types import (
    DecimalType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    LongType,
    NestedField,
    StringType,
)

from orderlake.contracts.checks import CheckSpec, Claim
from orderlake.contracts.model import Column, Contract
from orderlake.contracts.types import LONG, STRING
from orderlake.curation.evidence import Evidence, file_proves
from orderlake.lake.partitions import has_deletes

DAY = dt.date(2026, 1, 10)
ID = 7


def data_file(
    kind: IcebergType = LongType(),  # noqa: B008 - a value
    low: Any = None,
    high: Any = None,
    *,
    nulls: int | None = 0,
    nans: int | None = None,
    rows: int = 10,
    values: int | None = None,
) -> DataFile:
    """A file's entry in a manifest with the statistics of one column; what is None is absent."""

    def bound(value: Any) -> dict[int, bytes]:
        return {} if value is None else {ID: to_bytes(kind, value)}

    return DataFile.from_args(
        content=DataFileContent.DATA, file_path="f", file_format=FileFormat.PARQUET, partition=Record(0),
        record_count=rows, file_size_in_bytes=1, column_sizes={},
        value_counts={} if values is None else {ID: values},
        null_value_counts=None if nulls is None else {ID: nulls},
        nan_value_counts=None if nans is None else {ID: nans},
        lower_bounds=bound(low), upper_bounds=bound(high),
    )  # fmt: skip


def proves(claim: Claim, kind: IcebergType, file: DataFile) -> bool:
    return file_proves(claim, NestedField(ID, "c", kind, required=False), file)


NEVER_NULL = Claim("c", never_null=True)


@pytest.mark.parametrize(
    ("file", "proven"),
    [
        (data_file(nulls=0), True),
        (data_file(nulls=1), False),
        (data_file(nulls=None), False),
        (data_file(nulls=0, values=10), True),
        (data_file(nulls=0, values=25), False),
        (data_file(StringType(), "a", "b", nulls=0), True),
    ],
    ids=["none", "one", "not counted", "a value a row", "several values a row", "of texts"],
)
def test_required_is_proven_by_a_count_of_no_nulls(file: DataFile, proven: bool) -> None:
    assert proves(NEVER_NULL, LongType(), file) is proven


@pytest.mark.parametrize(
    ("comparison", "limit", "proven"),
    [
        (">=", 3, True), (">=", 3.5, False), (">=", 2.5, True), (">=", 4, False), (">", 2, True), (">", 3, False),
        ("<=", 8, True), ("<=", 7.5, False), ("<=", 7, False), ("<", 9, True), ("<", 8, False), ("<", 1e22, False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [IntegerType(), LongType()])
def test_limits_are_compared_with_the_bound_on_their_side(
    kind: IcebergType, comparison: Any, limit: float, proven: bool
) -> None:
    assert proves(Claim("c", bounds=((comparison, limit),)), kind, data_file(kind, 3, 8)) is proven


def test_both_sides_must_hold() -> None:
    claim = Claim("c", bounds=((">=", 1), ("<", 10)))
    assert proves(claim, LongType(), data_file(LongType(), 1, 9))
    assert not proves(claim, LongType(), data_file(LongType(), 1, 10))
    assert not proves(claim, LongType(), data_file(LongType(), 0, 9))


@pytest.mark.parametrize(("low", "proven"), [("0.10", True), ("0.09", False)])
def test_a_decimal_is_compared_exactly(low: str, proven: bool) -> None:
    kind = DecimalType(10, 2)
    assert proves(Claim("c", bounds=((">=", 0.1),)), kind, data_file(kind, Decimal(low), Decimal("5.00"))) is proven


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        (LongType(), data_file(LongType(), None, 9)),
        (DoubleType(), data_file(DoubleType(), 1.0, 2.0, nans=None)),
        (DoubleType(), data_file(DoubleType(), 1.0, 2.0, nans=1)),
        (DoubleType(), data_file(DoubleType(), float("nan"), 2.0, nans=0)),
        (FloatType(), data_file(FloatType(), 1.0, 2.0, nans=0)),
        (StringType(), data_file(StringType(), "b", "c")),
    ],
    ids=["no bound", "NaN not counted", "one NaN", "NaN as bound", "float", "text"],
)
def test_a_bound_that_could_be_wrong_proves_nothing(kind: IcebergType, file: DataFile) -> None:
    assert not proves(Claim("c", bounds=((">=", 0.5),)), kind, file)


def test_a_bound_that_was_written_before_the_column_was_widened_is_understood() -> None:
    file = data_file(IntegerType(), 1, 2)
    assert proves(Claim("c", bounds=((">=", 1),)), LongType(), file)
    assert not proves(Claim("c", bounds=((">=", 2),)), LongType(), file)


def test_a_double_is_proven_where_its_file_counts_no_nan() -> None:
    claim = Claim("c", bounds=((">=", 0.5),))
    assert proves(claim, DoubleType(), data_file(DoubleType(), 1.0, 2.0, nans=0))
    assert not proves(claim, DoubleType(), data_file(DoubleType(), 0.25, 2.0, nans=0))


def test_nothing_but_nulls_lies_within_every_limit() -> None:
    claim = Claim("c", bounds=((">=", 1),))
    assert proves(claim, LongType(), data_file(nulls=10))
    assert not proves(claim, LongType(), data_file(nulls=9))


def evidence(*files: DataFile, kind: IcebergType = LongType(), exact: bool = True) -> Evidence:  # noqa: B008
    contract = Contract(
        "i", "t", "1", "active", "table", "a.b", "", "", "o", "d", (Column("c", LONG), Column("t", STRING))
    )
    schema = Schema(NestedField(ID, "c", kind, required=False))
    return Evidence(contract, schema, files={DAY: files}, exact=exact)


REQUIRED = CheckSpec("c__required", "row", claim=NEVER_NULL)
UNIQUE = CheckSpec("c__unique", "unique", ("c",))
PATTERN = CheckSpec("t__pattern", "row", ("t",))


def test_every_file_of_the_day_must_prove_it() -> None:
    assert evidence(data_file(), data_file()).proves(REQUIRED, DAY)
    assert not evidence(data_file(), data_file(nulls=1)).proves(REQUIRED, DAY)
    assert evidence(data_file(), data_file(nulls=None, rows=0)).proves(REQUIRED, DAY)


def test_a_day_without_rows_breaks_nothing_and_a_single_row_repeats_nothing() -> None:
    for check in (REQUIRED, UNIQUE, PATTERN):
        assert evidence().proves(check, DAY)
    one, two = evidence(data_file(rows=1)), evidence(data_file(rows=1), data_file(rows=1))
    assert (one.proves(UNIQUE, DAY), two.proves(UNIQUE, DAY), one.proves(PATTERN, DAY)) == (True, False, False)


def test_a_column_that_is_missing_or_of_another_type_proves_nothing() -> None:
    missing = CheckSpec("t__required", "row", claim=Claim("t", never_null=True))
    assert not evidence(data_file()).proves(missing, DAY)
    assert not evidence(data_file(), kind=StringType()).proves(REQUIRED, DAY)


def test_with_delete_files_counts_are_not_known_but_what_holds_for_more_rows_holds_for_fewer() -> None:
    assert evidence(data_file(), data_file()).rows(DAY) == 20
    assert evidence(data_file(), exact=False).rows(DAY) is None
    assert evidence(data_file(), exact=False).proves(REQUIRED, DAY)


@pytest.mark.parametrize(
    ("content", "added", "existing", "expected"),
    [
        (ManifestContent.DATA, 1, 1, False),
        (ManifestContent.DELETES, 0, 0, False),
        (ManifestContent.DELETES, 1, 0, True),
        (ManifestContent.DELETES, 0, 1, True),
        (ManifestContent.DELETES, None, None, True),
    ],
)
def test_delete_files_are_seen_in_the_manifests(
    content: ManifestContent, added: int | None, existing: int | None, expected: bool
) -> None:
    class Faked:
        io = None

        def manifests(self, _: object) -> list[ManifestFile]:
            return [ManifestFile.from_args(content=content, added_files_count=added, existing_files_count=existing)]

    assert has_deletes(Faked(), Faked()) is expected  # type: ignore[arg-type]
