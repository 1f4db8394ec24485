"""The partitions of every asset: UTC days of event time, today included."""

from __future__ import annotations

import datetime as dt

import dagster as dg

from orderlake.curation.window import Window


def daily_partitions(start: dt.date) -> dg.DailyPartitionsDefinition:
    """Return the days from `start` to today (end_offset=1: the running day exists)."""
    return dg.DailyPartitionsDefinition(start_date=start.isoformat(), timezone="UTC", end_offset=1)


def window_of(context: dg.AssetExecutionContext) -> Window:
    """Return the days that a run is asked to build, one or a range."""
    keys = context.partition_key_range
    return Window(dt.date.fromisoformat(keys.start), dt.date.fromisoformat(keys.end))
