"""The sensor that tells Dagster which days of raw tables have changed. It starts no run: the lander fills them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import dagster as dg

from assets.metadata import asset_key, raw_day_metadata
from orderlake.contracts.model import Contract
from orderlake.contracts.naming import raw_table
from orderlake.curation.changes import TableCursor, Throttle, look
from orderlake.settings import AutomationSettings
from resources.lake import LakeResource


def raw_days_sensor(contracts: Sequence[Contract], settings: AutomationSettings) -> dg.SensorDefinition:
    """Return the sensor.

    Args:
        contracts: of the topics whose raw tables are watched.
        settings: how often it looks, and how often a day may be reported.
    """
    throttle = Throttle(settings.today_seconds, settings.late_seconds)

    @dg.sensor(
        name="raw_days",
        minimum_interval_seconds=settings.tick_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Reports the days of raw tables that have changed, with rows, offsets and watermark.",
    )
    def sensor(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult | dg.SkipReason:
        opened = lake.open()
        cursors = json.loads(context.cursor) if context.cursor else {}
        events = []
        for contract in contracts:
            name = raw_table(contract.physical_name)
            table = opened.find(name)
            if table is None:
                continue
            cursor = TableCursor.from_json(cursors[name]) if name in cursors else TableCursor()
            due, following = look(table, cursor, throttle, time.time())
            cursors[name] = following.to_json()
            events += [
                dg.AssetMaterialization(
                    asset_key(name), partition=day.isoformat(), metadata=raw_day_metadata(table, rows)
                )
                for day, rows in sorted(due.items())
            ]
        if not events:
            context.update_cursor(json.dumps(cursors))
            return dg.SkipReason("no day of a raw table has anything to report")
        return dg.SensorResult(asset_events=events, cursor=json.dumps(cursors))

    return sensor
