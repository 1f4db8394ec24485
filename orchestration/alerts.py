"""The sensors that tell people: of runs that failed, and of checks that fail or pass again, blocking or not.

Dagster itself tells nobody about a failed check that does not fail its run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal

import dagster as dg
from dagster._core.storage.asset_check_execution_record import COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES

from orderlake.errors import UnavailableError
from orderlake.ops.alerts import Alert, send
from orderlake.settings import AlertSettings

_EVERY_SECONDS = 30


def run_failure_alerts(settings: AlertSettings) -> dg.SensorDefinition:
    """Return the sensor that tells of failed runs; Dagster ticks it again for a run whose alert could not be sent."""

    @dg.run_failure_sensor(name="run_failures", default_status=dg.DefaultSensorStatus.RUNNING)
    def sensor(context: dg.RunFailureSensorContext) -> None:
        run = context.dagster_run
        tables = ", ".join(sorted(".".join(key.path) for key in run.asset_selection or ()))
        alert = Alert(
            "error",
            f"a run of {tables or run.job_name} failed",
            context.failure_event.message or "it did not say why",
            table=tables or None,
            run_id=run.run_id,
        )
        send(alert, settings)

    return sensor


def check_alerts(owners: Mapping[str, str], settings: AlertSettings) -> dg.SensorDefinition:
    """Return the sensor that tells when a check begins to fail, and when it passes again.

    Args:
        owners: the owning team by table.
        settings: where alerts go.
    """

    @dg.sensor(
        name="failed_checks",
        minimum_interval_seconds=_EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells when a check begins to fail, and when it passes again.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        assert context.repository_def is not None  # noqa: S101 - the daemon gives it
        keys = context.repository_def.asset_graph.asset_check_keys
        told: dict[str, bool] = json.loads(context.cursor) if context.cursor else {}
        sent = 0
        for key in sorted(keys, key=lambda key: (key.asset_key.path, key.name)):
            evaluation = _latest(context.instance, key)
            if evaluation is None:
                continue
            name = f"{'.'.join(key.asset_key.path)} {key.name}"
            if evaluation.passed != told.get(name, True):
                try:
                    send(_alert(evaluation, owners), settings)
                except UnavailableError as error:
                    # It is tried again at the next tick; what was told already must not be told twice because of it.
                    context.log.warning(str(error))
                    continue
                sent += 1
            told[name] = evaluation.passed
        context.update_cursor(json.dumps(told))
        return dg.SkipReason(f"{sent} alerts were sent" if sent else "nothing has changed")

    return sensor


def _latest(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> dg.AssetCheckEvaluation | None:
    # Not the latest record: a run that is under way, or that failed before it came to the check, leaves a plan there.
    records = instance.event_log_storage.get_asset_check_execution_history(
        key, limit=1, status=COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES
    )
    event = records[0].event.dagster_event if records and records[0].event else None
    return event.asset_check_evaluation_data if event else None


def _alert(evaluation: dg.AssetCheckEvaluation, owners: Mapping[str, str]) -> Alert:
    table = ".".join(evaluation.asset_key.path)
    severity: Literal["error", "warning", "recovered"] = "recovered"
    if not evaluation.passed:
        severity = "error" if evaluation.severity == dg.AssetCheckSeverity.ERROR else "warning"
    verdict = "passes again" if evaluation.passed else "fails"
    return Alert(
        severity,
        f"{evaluation.check_name} of {table} {verdict}",
        evaluation.description or verdict,
        table=table,
        check=evaluation.check_name,
        owner=owners.get(table),
    )
