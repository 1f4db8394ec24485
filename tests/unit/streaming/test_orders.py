"""Generated orders: the same bytes for the same seed and start, and exactly the dirt that was planted."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from orderlake.contracts.decoding import compile_decoder
from orderlake.contracts.odcs import load_contract
from orderlake.errors import InputError
from orderlake.settings import builtin_root
from orderlake.times import EPOCH
from streaming.producers.orders import OrdersSpec, Planted, event_times, generate

START = dt.datetime(2026, 1, 10, tzinfo=dt.UTC)
SPEC = OrdersSpec(3_000, 7, START, dt.timedelta(days=3), dirty=0.1, duplicates=0.05, late=0.05)


def generated(spec: OrdersSpec) -> tuple[list[tuple[bytes | None, bytes | None]], Planted]:
    planted = Planted()
    return list(generate(spec, planted)), planted


def test_the_same_seed_and_start_give_the_same_bytes() -> None:
    assert generated(SPEC)[0] == generated(SPEC)[0]
    assert generated(SPEC)[0] != generated(replace(SPEC, seed=8))[0]


def test_other_seeds_give_other_orders() -> None:
    ids = [
        {json.loads(value)["event_id"] for _, value in generated(replace(SPEC, seed=s, dirty=0))[0] if value}
        for s in (1, 2)
    ]
    assert not ids[0] & ids[1]


def test_a_clean_run_meets_the_contract_message_by_message() -> None:
    messages, planted = generated(replace(SPEC, dirty=0.0, duplicates=0.0, late=0.0))
    assert (planted.messages, planted.dirt.total(), planted.late) == (3_000, 0, 0)
    contract = load_contract(builtin_root() / "contracts" / "topics" / "orders.created.v1.yaml", "topic")
    values = [value for _, value in messages]
    now = int((START + dt.timedelta(days=4) - EPOCH).total_seconds()) * 1_000_000
    decoded = compile_decoder(contract, dt.date(2010, 1, 1)).decode(values, np.full(len(values), now))
    assert decoded.bad == []
    keys = [key.decode() for key, _ in messages if key]
    assert keys == decoded.columns[[c.name for c in contract].index("order_id")].to_pylist()


def test_planted_dirt_is_found_for_the_planted_reason() -> None:
    messages, planted = generated(replace(SPEC, dirty=0.5, duplicates=0.0))
    contract = load_contract(builtin_root() / "contracts" / "topics" / "orders.created.v1.yaml", "topic")
    values = [value for _, value in messages]
    now = int((START + dt.timedelta(days=4) - EPOCH).total_seconds()) * 1_000_000
    decoded = compile_decoder(contract, dt.date(2010, 1, 1)).decode(values, np.full(len(values), now))
    assert Counter(found[0].code for _, found in decoded.bad) == planted.dirt
    assert len(planted.dirt) == 18, "every kind of dirt was planted"


def test_shares_are_kept_and_duplicates_are_copies_of_good_messages() -> None:
    messages, planted = generated(SPEC)
    assert planted.orders == 3_000
    assert len(messages) == planted.messages
    assert planted.dirt.total() == pytest.approx(300, rel=0.3)
    assert planted.late == pytest.approx(150, rel=0.4)
    copies = {message: n for message, n in Counter(messages).items() if n > 1}
    assert sum(n - 1 for _, n in copies.items()) >= planted.duplicates
    assert all(json.loads(value)["order_status"] == "CREATED" for (_, value), n in copies.items() if value and n == 2)


def test_event_times_follow_the_span_and_late_ones_lie_before() -> None:
    messages, planted = generated(replace(SPEC, dirty=0.0, duplicates=0.0))
    times = [dt.datetime.fromisoformat(json.loads(value)["event_time"]) for _, value in messages if value]
    on_time = [t for t in times if t >= START]
    assert len(times) - len(on_time) <= planted.late
    assert max(times) < START + SPEC.span
    expected = [START + SPEC.span * (n / SPEC.count) for n in range(SPEC.count)]
    moved = [abs((t - e).total_seconds()) > 86_400 / 2 for t, e in zip(times, expected, strict=True)]
    assert sum(moved) == planted.late


def test_event_times_begin_where_asked_or_end_now() -> None:
    assert event_times(100, rate=10, days=0, start=START, late=0) == (START, dt.timedelta(seconds=10))
    begin, span = event_times(100, rate=10, days=2, start=None, late=0)
    assert span == dt.timedelta(days=2)
    assert dt.timedelta() <= dt.datetime.now(dt.UTC) - (begin + span) < dt.timedelta(minutes=1)


@pytest.mark.parametrize(
    "asked",
    [
        {"start": dt.datetime(9999, 12, 31, tzinfo=dt.UTC), "days": 30},
        {"start": dt.datetime(1, 1, 1, tzinfo=dt.UTC), "late": 0.1},
        {"days": 3_650_000},
        {"days": 1e12},
        {"count": 10**400},
        {"count": 10**12, "rate": 0.001},
    ],
    ids=str,
)
def test_event_times_that_no_calendar_has_are_refused(asked: dict) -> None:
    with pytest.raises(InputError, match=r"outside the calendar(.|\n)*allowed: 0001-01-01 to 9999-12-31"):
        event_times(**{"count": 100, "rate": 0, "days": 0, "start": None, "late": 0, **asked})


def test_the_first_days_of_the_calendar_can_be_generated() -> None:
    for late, begin in ((0.0, dt.datetime(1, 1, 1, tzinfo=dt.UTC)), (1.0, dt.datetime(1, 1, 11, tzinfo=dt.UTC))):
        start, span = event_times(50, rate=0, days=1, start=begin, late=late)
        assert generated(OrdersSpec(50, 1, start, span, late=late))[1].orders == 50
