"""Builds days of one table: write, audit, publish.

Safety:
1. The data files are written and closed before anything is checked; no reader can see them.
2. The blocking checks of the contract run over exactly those files. If one fails, nothing is published; the files stay
   for inspection until orphan removal.
3. All days are published by one overwrite snapshot that takes out their old files: a reader sees the old days or the
   new ones, never a mixture. It is fenced on those old files, so of two runs over the same days one is refused.
4. What was built from what is recorded last. A crash before that makes the days look out of date and be built again,
   with the same rows.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyiceberg.table import Table
from pyiceberg.table.metadata import TableMetadata

from orderlake.contracts.checks import CheckSpec, compile_checks
from orderlake.contracts.iceberg import contract_spec, iceberg_schema
from orderlake.contracts.model import Contract
from orderlake.curation.audit import Audit, Finding
from orderlake.curation.evidence import published_evidence, staged_evidence
from orderlake.curation.ledger import Build, CheckResult, record_builds, record_check_results
from orderlake.curation.models import Model, is_raw
from orderlake.curation.staging import Staged, stage
from orderlake.curation.staleness import input_state
from orderlake.curation.window import Window
from orderlake.errors import FencedError, ModelError
from orderlake.lake.catalog import Lake
from orderlake.lake.commit import Change, commit
from orderlake.lake.duck import DuckSession
from orderlake.lake.evolution import differences, evolve
from orderlake.lake.landing_tables import CONTRACT_PROPERTY
from orderlake.lake.partitions import partition_files, rows_by_day
from orderlake.lake.pins import Pin, pin

logger = logging.getLogger(__name__)

_AUDITED = "audited"


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What one build did.

    Attributes:
        findings: every check on every day.
        snapshot_id: the snapshot that published it; None if a blocking check failed.
        inputs: the snapshot of every input that was read.
    """

    model: Model
    window: Window
    rows: dict[dt.date, int]
    findings: list[Finding]
    snapshot_id: int | None
    publish_id: str
    inputs: dict[str, int | None]

    @property
    def blocking(self) -> list[Finding]:
        """The findings that kept the build from being published."""
        return [finding for finding in self.findings if not finding.passed and finding.check.blocking]


def open_table(lake: Lake, contract: Contract) -> Table:
    """Return a curated table, created from its contract or brought up to it.

    Raises:
        ModelError: the contract has changed in a way that existing rows do not fit.
    """
    schema = iceberg_schema(contract.columns)
    stamp = {CONTRACT_PROPERTY: f"{contract.id}@{contract.version}"}
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
        FencedError: another run published the same days meanwhile; nothing was published.
    """
    table = open_table(lake, model.contract)
    live = partition_files(table, table.metadata, window.ordinals)
    pins = {name: pin(lake.load(name)) for name in model.inputs}
    states = {name: _pinned_state(lake, pins[name]) for name in model.inputs}
    checks = compile_checks(model.contract)
    with DuckSession() as session:
        session.attach(pins.values())
        staged = stage(session, model, table, window)
        present = {day for state in states.values() for day in state} | set(staged.rows)
        days = [day for day in window.days if day in present] or [window.first]
        evidence = staged_evidence(model.contract, table, staged.files)
        audit = Audit(session, model.contract, lambda: _attach_staged(session, table, staged), evidence)
        findings = audit.evaluate(checks, days)
    inputs = {name: found.snapshot_id for name, found in pins.items()}
    result = BuildResult(model, window, staged.rows, findings, None, uuid.uuid4().hex, inputs)
    if result.blocking:
        _record_findings(lake, result, run_id)
        return result
    files = {file.file_path for file in live.values()}

    def plan(metadata: TableMetadata) -> Change:
        now = partition_files(table, metadata, window.ordinals)
        if now.keys() != files:
            raise FencedError(
                f"another run published {window} of {model.name} meanwhile. Nothing was published.",
                remedy="see whether the days are out of date now: orderlake materialize builds those that are.",
            )
        return Change(append=staged.files, delete=list(now.values()), summary=_summary(result, run_id))

    snapshot_id = commit(table, plan)
    published = BuildResult(model, window, staged.rows, findings, snapshot_id, result.publish_id, inputs)
    _record_findings(lake, published, run_id)
    record_builds(lake, _builds(published, states, run_id))
    fields = {"table": model.name, "window": str(window), "rows": sum(staged.rows.values())}
    logger.info("published", extra={"fields": fields})
    return published


def check_published(lake: Lake, model: Model, checks: Sequence[CheckSpec], run_id: str) -> list[Finding]:
    """Evaluate checks over all published days of a table, and record the results."""
    table = lake.load(model.name)
    pinned = pin(table)
    days = rows_by_day(table, pinned.snapshot)
    with DuckSession() as session:
        session.attach([pinned, *(pin(lake.load(name)) for name in model.inputs)])
        evidence = published_evidence(model.contract, pinned)
        findings = Audit(session, model.contract, lambda: model.name, evidence).evaluate(checks, days)
    record_check_results(lake, _results(model.name, findings, pinned.snapshot_id, run_id))
    return findings


def _pinned_state(lake: Lake, pinned: Pin) -> Mapping[dt.date, str]:
    """Return the state of an input's days as the build sees them: of raw at the pinned snapshot, not a later one."""
    if is_raw(pinned.name):
        return {day: str(rows) for day, rows in rows_by_day(pinned.table, pinned.snapshot).items()}
    return input_state(lake, pinned.name)


def _attach_staged(session: DuckSession, table: Table, staged: Staged) -> str:
    if staged.files:
        session.attach_files(_AUDITED, [file.file_path for file in staged.files])
    else:
        session.attach([Pin(f"staged.{_AUDITED}", table, None)])
        session.execute(f"create temp view {_AUDITED} as from staged.{_AUDITED}")
    return _AUDITED


def _summary(result: BuildResult, run_id: str) -> dict[str, str]:
    return {
        "orderlake.run_id": run_id,
        "orderlake.publish_id": result.publish_id,
        "orderlake.window": str(result.window),
        "orderlake.code_version": result.model.code_version,
        **{f"orderlake.input.{name}": str(snapshot) for name, snapshot in result.inputs.items()},
    }


def _builds(result: BuildResult, states: Mapping[str, Mapping[dt.date, str]], run_id: str) -> list[Build]:
    """Return a ledger entry for every day that holds something, in the table or in an input."""
    now = dt.datetime.now(dt.UTC)
    built = []
    for day in result.window.days:
        inputs = {name: state[day] for name, state in states.items() if day in state}
        if inputs or day in result.rows:
            built.append(
                Build(
                    result.model.name, day, result.publish_id, result.snapshot_id or 0, result.rows.get(day, 0), now,
                    run_id, result.model.code_version, inputs,
                )
            )  # fmt: skip
    return built


def _record_findings(lake: Lake, result: BuildResult, run_id: str) -> None:
    record_check_results(lake, _results(result.model.name, result.findings, result.snapshot_id, run_id))


def _results(table: str, findings: Sequence[Finding], snapshot_id: int | None, run_id: str) -> list[CheckResult]:
    now = dt.datetime.now(dt.UTC)
    return [
        CheckResult(
            table, f.day, f.check.name, f.passed, f.check.severity, f.value, str(f.check.threshold), f.rows, run_id,
            now, snapshot_id, f.samples, f.answered_by, f.contract_line,
        )
        for f in findings
    ]  # fmt: skip
