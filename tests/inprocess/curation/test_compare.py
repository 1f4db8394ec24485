"""Incremental equals full: built again, a day gives the same rows, and a model that breaks this is caught."""

from __future__ import annotations

import datetime as dt

import pytest

from orderlake.curation.build import build
from orderlake.curation.compare import compare, sample_days
from orderlake.curation.models import Model
from orderlake.curation.window import Window
from orderlake.lake.catalog import Lake
from tests.inprocess.conftest import DAY, RawOrders, order
from tests.inprocess.curation.test_build import edited_model

ORDERS, MART = "analytics.orders", "marts.daily_orders"
DAYS = [DAY + dt.timedelta(days=n) for n in range(4)]
ALL = Window(DAYS[0], DAYS[-1])


@pytest.fixture
def built(raw: RawOrders, lake: Lake, models: dict[str, Model]) -> Lake:
    raw.land([order(n, DAYS[n % 4]) for n in range(40)])
    raw.land([order(n, DAYS[n % 4]) for n in range(8)])
    for model in models.values():
        build(lake, model, ALL, "run")
    return lake


def test_the_shipped_models_give_the_same_alone_and_with_neighbours(built: Lake, models: dict[str, Model]) -> None:
    for model in models.values():
        found, skipped = compare(built, model, DAYS)
        assert skipped == []
        assert [(c.day, c.window) for c in found[:2]] == [
            (DAYS[0], Window(DAYS[0], DAYS[0])),
            (DAYS[0], Window(DAYS[0] - dt.timedelta(days=1), DAYS[1])),
        ]
        assert len(found) == 8
        assert all(c.same and c.rows for c in found)


def test_a_day_whose_inputs_have_changed_is_left_out(built: Lake, raw: RawOrders, models: dict[str, Model]) -> None:
    raw.land([order(100, DAYS[1])])
    found, skipped = compare(built, models[ORDERS], DAYS)
    assert skipped == [DAYS[1]]
    assert {c.day for c in found} == {DAYS[0], DAYS[2], DAYS[3]}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(("    user_id,\n", "    user_id || random() as user_id,\n"), id="chance"),
        pytest.param(("_landed_at as processed_at", "now() as processed_at"), id="the clock"),
        pytest.param(
            ("partition by event_id, cast(event_time as date)", "partition by event_id"), id="looks beyond its day"
        ),
    ],
)
def test_a_model_that_gives_other_rows_each_time_is_caught(
    raw: RawOrders, lake: Lake, models: dict[str, Model], change: tuple[str, str]
) -> None:
    model = edited_model(models[ORDERS], change)
    raw.land([order(n, DAYS[n % 4]) for n in range(40)])
    raw.land([order(200, DAYS[1], event_id=order(0)["event_id"])])
    for day in DAYS:
        build(lake, model, Window(day, day), "run")
    found, _ = compare(lake, model, DAYS)
    differing = [c for c in found if not c.same]
    assert differing
    assert all(c.missing and c.samples for c in differing)


def test_a_model_that_was_changed_without_building_again_is_caught(built: Lake, models: dict[str, Model]) -> None:
    model = edited_model(models[MART], ("max(order_amount) as largest", "min(order_amount) as largest"))
    found, skipped = compare(built, model, DAYS[:1])
    assert skipped == []
    assert [(c.missing, c.surplus, c.samples) for c in found] == [(1, 1, ("2026-01-10, EUR",))] * 2


def test_the_sample_is_the_newest_days_and_a_few_older(built: Lake, models: dict[str, Model]) -> None:
    days = sample_days(built, models[ORDERS], newest=1, older=2)
    assert len(days) == 3
    assert days[-1] == DAYS[-1]
    assert sample_days(built, models[ORDERS], newest=10) == DAYS
