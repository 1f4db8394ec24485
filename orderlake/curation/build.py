"""Builds days of one table: write, audit, publish.

Safety:
1. The data files are written and closed before anything is checked; no reader can see them.
2. The blocking checks of the contract run over exactly those files. A day that fails one is withheld: it keeps its old
   rows, and its files stay for inspection until orphan removal. The other days do not suffer for it.
3. All other days are published by one overwrite snapshot that takes out their old files: a reader sees the old days or
   the new ones, never a mixture. It is fenced on those old files, so of two runs over the same days one is refused.
4. What was built from what is recorded last. A crash before that makes the days look out of date and be built again,
   with the same rows.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace

from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from orderlake.contracts.checks import CheckSpec, compile_checks
from orderlake.contracts.iceberg import contract_spec, iceberg_schema
from orderlake.contracts.model import Contract
from orderlake.curation.audit import Audit, Finding
from orderlake.curation.evidence import published_evidence, staged_evidence
from orderlake.curation.ledger import Build, CheckResult, record_builds, record_check_results
from orderlake.curation.models import Model, is_raw
from orderlake.curation.publish import BuildResult, publish, withheld_days
from orderlake.curation.staging import stage
from orderlake.curation.staleness import input_state, raw_state
from orderlake.curation.window import Window
from orderlake.errors import ModelError
from orderlake.lake.catalog import Lake
from orderlake.lake.data_time import reached
from orderlake.lake.duck import DuckSession
from orderlake.lake.evolution import differences, evolve
from orderlake.lake.landing_state import read_state
from orderlake.lake.landing_tables import CONTRACT_PROPERTY
from orderlake.lake.partitions import partition_files, rows_by_day
from orderlake.lake.pins import Pin, pin
from orderlake.times import day_start_microseconds

logger = logging.getLogger(__name__)

_AUDITED = "audited"
#: Manifests are merged, but not into ones of years of days: a build of a day reads and writes those that hold it.
_PROPERTIES = {"commit.manifest.target-size-bytes": "32768"}


def open_table(lake: Lake, contract: Contract) -> Table:
    """Return a curated table, created from its contract or brought up to it.

    Raises:
        ModelError: the contract has changed in a way that existing rows do not fit.
    """
    schema = iceberg_schema(contract.columns)
    stamp = {CONTRACT_PROPERTY: f"{contract.id}@{contract.version}", **_PROPERTIES}
    table = lake.create(contract.physical_name, schema, contract_spec(contract, schema), stamp)
    breaking = [d.text for d in differences(table.schema(), contract.columns) if not d.additive]
    if breaking:
        raise ModelError(
            f"the contract {contract.path} no longer fits {contract.physical_name}: {'; '.join(breaking)}.",
            remedy=[
                "put the contract back as it was.",
                f"or make the table anew from its inputs: orderlake materialize {contract.physical_name} --recreate",
            ],
        )
    evolve(table, contract.columns)
    return table


def build(lake: Lake, model: Model, window: Window, run_id: str) -> BuildResult:
    """Build and publish the days of a window.

    Args:
        lake: the lake.
        model: what to build.
        window: which days.
        run_id: the run that does it, for the ledger and the snapshot.

    Raises:
        ModelError: the model or a rule cannot be run.
        CommitConflictError: another run published some of the days meanwhile; nothing was published.
    """
    table = open_table(lake, model.contract)
    live = partition_files(table, table.metadata, window.ordinals)
    # State before pin: what is published between the two is then built from but not recorded, a harmless rebuild. The
    # other way round it would be recorded but not built from, and never missed. A raw table's state is the pin's own.
    states = {name: input_state(lake, name, window) for name in model.inputs if not is_raw(name)}
    pins = {name: pin(lake.load(name)) for name in model.inputs}
    states |= {name: raw_state(p.table, p.snapshot, window) for name, p in pins.items() if is_raw(name)}
    checks = compile_checks(model.contract)
    with DuckSession() as session:
        session.attach(pins.values())
        staged = stage(session, model, table, window)
        present = {day for state in states.values() for day in state} | set(staged.rows)
        days = [day for day in window.days if day in present] or [window.first]
        evidence = staged_evidence(model.contract, table, staged.files)
        audit = Audit(
            session,
            model.contract,
            lambda: _attach_staged(session, table, _AUDITED, staged.files),
            evidence,
            lambda day: _attach_staged(session, table, "staged_day", evidence.files.get(day, ())),
        )
        findings = audit.evaluate(checks, days)
    withheld = withheld_days(findings)
    result = BuildResult(
        model=model,
        window=window,
        publish_id=uuid.uuid4().hex,
        rows={day: rows for day, rows in staged.rows.items() if day not in withheld},
        findings=findings,
        withheld=withheld,
        snapshot_id=None,
        inputs={name: found.snapshot_id for name, found in pins.items()},
        offsets={name: _offsets(found) for name, found in pins.items() if is_raw(name)},
        data_time=reached(pins.values(), day_start_microseconds(window.last + dt.timedelta(days=1))),
    )
    if result.published:
        result = replace(result, snapshot_id=publish(table, result, staged, live, run_id))
    record_check_results(lake, _results(model.name, findings, result.snapshot_id, run_id, withheld))
    if result.published:
        record_builds(lake, _builds(result, states, run_id))
    fields = {"table": model.name, "window": str(window), "rows": sum(result.rows.values()), "withheld": len(withheld)}
    logger.info("published" if result.published else "nothing was published", extra={"fields": fields})
    return result


def check_published(
    lake: Lake, model: Model, checks: Sequence[CheckSpec], run_id: str, days: Sequence[dt.date] | None = None
) -> list[Finding]:
    """Evaluate checks over published days of a table (without `days` over all), and record the results."""
    table = lake.load(model.name)
    pinned = pin(table)
    days = days or list(rows_by_day(table, pinned.snapshot))
    with DuckSession() as session:
        session.attach([pinned, *(pin(lake.load(name)) for name in model.inputs)])
        evidence = published_evidence(model.contract, pinned)
        findings = Audit(session, model.contract, lambda: model.name, evidence).evaluate(checks, days)
    record_check_results(lake, _results(model.name, findings, pinned.snapshot_id, run_id))
    return findings


def _attach_staged(session: DuckSession, table: Table, name: str, files: Sequence[DataFile]) -> str:
    if files:
        session.attach_files(name, [file.file_path for file in files])
    else:
        session.attach([Pin(f"staged.{name}", table, None)])
        session.execute(f"create or replace temp view {name} as from staged.{name}")
    return name


def _offsets(pinned: Pin) -> dict[int, int]:
    state = read_state(pinned.table.metadata)
    return {partition: progress.next for partition, progress in sorted(state.partitions.items())}


def _builds(result: BuildResult, states: Mapping[str, Mapping[dt.date, str]], run_id: str) -> list[Build]:
    """Return a ledger entry for every day that holds something, in the table or in an input."""
    now = dt.datetime.now(dt.UTC)
    built = []
    for day in result.published:
        inputs = {name: state[day] for name, state in states.items() if day in state}
        if inputs or day in result.rows:
            built.append(
                Build(
                    result.model.name, day, result.publish_id, result.snapshot_id or 0, result.rows.get(day, 0), now,
                    run_id, result.model.code_version, inputs,
                )
            )  # fmt: skip
    return built


def _results(
    table: str,
    findings: Sequence[Finding],
    snapshot_id: int | None,
    run_id: str,
    withheld: Container[dt.date] = (),
) -> list[CheckResult]:
    now = dt.datetime.now(dt.UTC)
    return [
        CheckResult(
            table, f.day, f.check.name, f.passed, f.check.severity, f.value, str(f.check.threshold), f.rows, run_id,
            now, None if f.day in withheld else snapshot_id, f.samples, f.answered_by, f.contract_line,
        )
        for f in findings
    ]  # fmt: skip
