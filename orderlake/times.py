"""Moments as orderlake counts them: microseconds and days since the epoch, in UTC."""

from __future__ import annotations

import datetime as dt
import time

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
EPOCH_DAY = EPOCH.date()
MICROSECONDS_PER_DAY = 86_400_000_000


def iso(microseconds: int) -> str:
    """Return microseconds since the epoch as an ISO date-time ending in Z."""
    return (EPOCH + dt.timedelta(microseconds=microseconds)).isoformat().replace("+00:00", "Z")


def now_microseconds() -> int:
    """Return the present moment in microseconds since the epoch."""
    return time.time_ns() // 1_000


def day_ordinal(day: dt.date) -> int:
    """Return the days since the epoch of a date."""
    return (day - EPOCH_DAY).days


def day_of(ordinal: int) -> dt.date:
    """Return the date of a day ordinal."""
    return EPOCH_DAY + dt.timedelta(days=ordinal)


def day_start_microseconds(day: dt.date) -> int:
    """Return the start of a UTC day in microseconds since the epoch."""
    return day_ordinal(day) * MICROSECONDS_PER_DAY
