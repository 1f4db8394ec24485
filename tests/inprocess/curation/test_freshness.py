"""Freshness follows the events in a table, not the clock of whoever builds it."""

from __future__ import annotations

import datetime as dt

import pytest

from orderlake.contracts.registry import Registry
from orderlake.contracts.slas import freshness_limit
from orderlake.curation.build import build
from orderlake.curation.freshness import measure
from orderlake.curation.models import Model
from orderlake.curation.window import Window
from orderlake.lake.catalog import Lake
from orderlake.lake.commit import Change, commit
from orderlake.lake.landing_state import STATE, LandingState, Progress
from tests.inprocess.conftest import DAY, RawOrders, order

ORDERS, MART, RAW = "analytics.orders", "marts.daily_orders", "raw.orders_created_v1"
NEXT = DAY + dt.timedelta(days=1)


def moment(day: dt.date, hour: int) -> float:
    return dt.datetime.combine(day, dt.time(hour), dt.UTC).timestamp()


def land_until(raw: RawOrders, newest: float, rows: list[dict[str, object]]) -> None:
    """Land rows, and say as the lander does what the greatest event time is."""
    raw.land(rows)
    state = LandingState(topic="orders.created.v1", partitions={0: Progress(1, 1, int(newest * 1e6))})
    commit(raw.table, lambda _: Change(properties={STATE: state.to_property()}))


def test_contracts_promise_in_seconds(registry: Registry) -> None:
    assert freshness_limit(registry.topic("orders.created.v1")) == 60
    assert freshness_limit(registry.table(ORDERS)) == 900
    assert freshness_limit(registry.table(MART)) == 1_800


def test_a_table_is_as_old_as_its_newest_event(raw: RawOrders, lake: Lake) -> None:
    land_until(raw, moment(DAY, 10), [order(0)])
    found = measure(lake, RAW, 60, moment(DAY, 10) + 59)
    assert (found.age, found.passed) == (59, True)
    found = measure(lake, RAW, 60, moment(DAY, 10) + 61)
    assert not found.passed
    assert str(found) == "61 s behind, at 2026-01-10T10:00:00Z; promised are 60 s"


def test_a_table_without_data_is_not_fresh(lake: Lake) -> None:
    found = measure(lake, MART, 60, moment(DAY, 10))
    assert (found.age, found.passed) == (None, False)


def test_a_mart_of_days_knows_the_hour_its_data_reaches(raw: RawOrders, lake: Lake, models: dict[str, Model]) -> None:
    land_until(raw, moment(NEXT, 10), [order(0), order(1, NEXT)])
    for model in models.values():
        build(lake, model, Window(DAY, NEXT), "run")
    assert measure(lake, MART, 60, moment(NEXT, 11)).age == pytest.approx(3_600)


def test_building_an_old_day_makes_nothing_fresher_and_nothing_older(
    raw: RawOrders, lake: Lake, models: dict[str, Model]
) -> None:
    land_until(raw, moment(NEXT, 10), [order(0), order(1, NEXT)])
    for model in models.values():
        build(lake, model, Window(DAY, NEXT), "run")
    land_until(raw, moment(NEXT, 18), [order(2), order(3, NEXT)])
    for model in models.values():
        build(lake, model, Window(DAY, DAY), "backfill")
    for table in (ORDERS, MART):
        assert measure(lake, table, 60, moment(NEXT, 20)).age == pytest.approx(10 * 3_600), table
    build(lake, models[ORDERS], Window(NEXT, NEXT), "increment")
    assert measure(lake, ORDERS, 60, moment(NEXT, 20)).age == pytest.approx(2 * 3_600)


def test_a_foreign_commit_does_not_lose_the_data_time(raw: RawOrders, lake: Lake, models: dict[str, Model]) -> None:
    land_until(raw, moment(DAY, 10), [order(0)])
    build(lake, models[ORDERS], Window(DAY, DAY), "run")
    commit(lake.load(ORDERS), lambda _: Change(summary={"by": "somebody else"}))
    assert measure(lake, ORDERS, 60, moment(DAY, 11)).age == pytest.approx(3_600)
