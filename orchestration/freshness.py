"""Evaluates the freshness of every table each minute, without a run: recorded when it changes, and as a heartbeat."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

import dagster as dg

from assets.freshness import FRESHNESS, freshness_metadata
from assets.metadata import asset_key
from orderlake.curation.freshness import Freshness, measure
from orderlake.settings import AutomationSettings
from resources.lake import LakeResource

_EVERY_SECONDS = 60


def freshness_sensor(limits: Mapping[str, float], settings: AutomationSettings) -> dg.SensorDefinition:
    """Return the sensor.

    Args:
        limits: what contracts promise, in seconds, by table.
        settings: how often an unchanged verdict is recorded.
    """

    @dg.sensor(
        name="freshness",
        minimum_interval_seconds=_EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Compares the data time of every table with the present and with what its contract promises.",
    )
    def sensor(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult | dg.SkipReason:
        opened, now = lake.open(), time.time()
        last = json.loads(context.cursor) if context.cursor else {}
        events = []
        for table, limit in limits.items():
            found = measure(opened, table, limit, now)
            before = last.get(table)
            if before and before["passed"] == found.passed and now - before["at"] < settings.heartbeat_seconds:
                continue
            last[table] = {"passed": found.passed, "at": now}
            events.append(_evaluation(found))
        if not events:
            return dg.SkipReason("no verdict has changed")
        return dg.SensorResult(asset_events=events, cursor=json.dumps(last))

    return sensor


def _evaluation(found: Freshness) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=asset_key(found.table),
        check_name=FRESHNESS,
        passed=found.passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=str(found),
        metadata=freshness_metadata(found),
    )
