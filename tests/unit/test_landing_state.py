"""The landing state never goes backwards: regressing it is how other sinks came to double a hundred thousand rows."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from orderlake.lake.landing_state import (
    DISORDER_MICROSECONDS,
    Gap,
    LandingState,
    Progress,
    Range,
    Writer,
    _from_property,
    ranges_to_summary,
)

spans = st.builds(
    lambda start, length, records: Range(start, start + length, records),
    st.integers(0, 50), st.integers(1, 20), st.integers(0, 20),
)  # fmt: skip


def test_the_property_brings_back_the_state() -> None:
    state = LandingState(
        "cluster", "topic", "id", {0: Progress(5, 4, 17), 12: Progress(1, 1, None)},
        (Gap(0, 1, 3, "2026-01-01T00:00:00+00:00"),), Writer("w", "host", 1, 2.5),
    )  # fmt: skip
    assert _from_property(state.to_property()) == state
    assert _from_property(LandingState().to_property()) == LandingState()


def test_equal_states_are_equal_texts() -> None:
    """The fence compares the texts."""
    one = LandingState(partitions={1: Progress(2, 2), 0: Progress(1, 1)})
    two = LandingState(partitions={0: Progress(1, 1), 1: Progress(2, 2)})
    assert one.to_property() == two.to_property()


@given(st.lists(st.dictionaries(st.integers(0, 2), spans, max_size=3), max_size=8))
def test_whatever_ranges_are_merged_no_offset_goes_back(batches: list[dict[int, Range]]) -> None:
    state = LandingState()
    for ranges in batches:
        before = state
        state = state.advanced(ranges)
        for partition, progress in before.partitions.items():
            assert state.partitions[partition].next >= progress.next
            assert state.partitions[partition].records >= progress.records
        for partition, span in ranges.items():
            assert state.partitions[partition].next >= span.end
        assert state.advanced(ranges) == state, "merging a range a second time changes nothing"


def test_the_watermark_is_that_of_the_slowest_partition() -> None:
    state = LandingState().advanced(
        {0: Range(0, 2, 2), 1: Range(0, 1, 1), 2: Range(0, 1, 1)}, {0: 9_000_000, 1: 7_000_000}
    )
    assert state.watermark == 7_000_000 - DISORDER_MICROSECONDS
    assert LandingState().watermark is None


def test_late_events_do_not_turn_the_watermark_back() -> None:
    state = LandingState().advanced({0: Range(0, 1, 1)}, {0: 9_000_000}).advanced({0: Range(1, 2, 1)}, {0: 1_000_000})
    assert state.watermark == 9_000_000 - DISORDER_MICROSECONDS


def test_ranges_are_written_as_start_end_records() -> None:
    assert json.loads(ranges_to_summary({3: Range(1, 5, 4)})) == {"3": [1, 5, 4]}
