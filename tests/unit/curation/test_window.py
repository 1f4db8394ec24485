"""Days are built in as few runs as possible, and never a day that has something and is up to date."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderlake.curation.window import Window, parse_window, windows
from orderlake.errors import InputError

BASE = dt.date(2026, 1, 1)


def day(n: int) -> dt.date:
    return BASE + dt.timedelta(days=n)


def test_a_window_gives_its_days_and_its_bounds() -> None:
    window = parse_window("2026-01-30..2026-02-01")
    assert window.days == [dt.date(2026, 1, 30), dt.date(2026, 1, 31), dt.date(2026, 2, 1)]
    assert window.parameters == {
        "window_start": dt.datetime(2026, 1, 30, tzinfo=dt.UTC),
        "window_end": dt.datetime(2026, 2, 2, tzinfo=dt.UTC),
    }
    assert str(window) == "2026-01-30..2026-02-01"
    assert str(parse_window("2026-01-30")) == "2026-01-30"


@pytest.mark.parametrize("text", ["", "today", "2026-02-30", "2026-01-01..", "..2026-01-01", "2026-01-01...2026-01-02"])
def test_what_is_no_partition_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no partition"):
        parse_window(text)


def test_a_window_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(InputError, match=r"did you mean 2026-01-01\.\.2026-01-05"):
        parse_window("2026-01-05..2026-01-01")


def test_idle_days_join_what_they_separate() -> None:
    assert list(windows([day(0), day(1), day(3)], [day(2)])) == [Window(day(0), day(3))]
    assert list(windows([day(0), day(1), day(3)])) == [Window(day(0), day(1)), Window(day(3), day(3))]
    assert list(windows([day(0)], [day(1), day(2)])) == [Window(day(0), day(0))], "no idle day at an end"


@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
def test_windows_cover_every_wanted_day_and_no_day_that_is_neither_wanted_nor_idle(
    wanted: set[int], idle: set[int]
) -> None:
    found = list(windows(map(day, wanted), map(day, idle)))
    covered = [d for window in found for d in window.days]
    assert len(covered) == len(set(covered)), "windows do not overlap"
    assert set(map(day, wanted)) <= set(covered) <= set(map(day, wanted | idle))
    assert found == sorted(found)
    for before, after in pairwise(found):
        between = Window(before.last, after.first).days[1:-1]
        assert any(d not in set(map(day, idle | wanted)) for d in between), "two windows could have been one"
