"""The days that one build makes: a contiguous range of UTC days of event time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from orderlake.errors import InputError
from orderlake.times import day_of, day_ordinal

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """The days from `first` to `last`, both included."""

    first: dt.date
    last: dt.date

    @property
    def ordinals(self) -> range:
        """The days as ordinals (days since the epoch)."""
        return range(day_ordinal(self.first), day_ordinal(self.last) + 1)

    @property
    def days(self) -> list[dt.date]:
        """The days."""
        return [day_of(ordinal) for ordinal in self.ordinals]

    @property
    def parameters(self) -> dict[str, dt.datetime]:
        """What models and rules are run with: the window's start, and its end, which is outside."""
        midnight = dt.time(tzinfo=dt.UTC)
        return {
            "window_start": dt.datetime.combine(self.first, midnight),
            "window_end": dt.datetime.combine(self.last + _DAY, midnight),
        }

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}..{self.last}"


def parse_window(text: str) -> Window:
    """Return the window of `A` or `A..B`, ISO dates.

    Raises:
        InputError: the text is something else, or B is before A.
    """
    first, separator, last = text.partition("..")
    try:
        window = Window(dt.date.fromisoformat(first), dt.date.fromisoformat(last if separator else first))
    except ValueError as error:
        raise InputError(
            f"{text!r} is no partition.", allowed="a day, or a range of days: 2026-01-31 or 2026-01-01..2026-01-31"
        ) from error
    if window.last < window.first:
        raise InputError(f"{text!r} ends before it begins.", remedy=f"did you mean {window.last}..{window.first}?")
    return window


def windows(days: Iterable[dt.date], idle: Iterable[dt.date] = ()) -> Iterator[Window]:
    """Yield the fewest windows that hold the days.

    Args:
        days: what must be covered.
        idle: days that hold nothing and may be covered too, so that a silent Sunday does not split a run.
    """
    wanted = set(days)
    bridges = set(idle) - wanted
    for day in sorted(wanted):
        if day - _DAY in wanted or _bridged(day, wanted, bridges):
            continue
        last = day
        ahead = day + _DAY
        while ahead in wanted or ahead in bridges:
            last = ahead if ahead in wanted else last
            ahead += _DAY
        yield Window(day, last)


def _bridged(day: dt.date, wanted: set[dt.date], bridges: set[dt.date]) -> bool:
    """Return whether only idle days lie between a day and a wanted one before it."""
    before = day - _DAY
    while before in bridges:
        before -= _DAY
    return before in wanted and before != day - _DAY
