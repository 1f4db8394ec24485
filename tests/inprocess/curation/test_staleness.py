"""Out of date is told by state: nothing is missed, and nothing is rebuilt for nothing."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import replace

from orderlake.curation.build import build
from orderlake.curation.models import Model
from orderlake.curation.staleness import plan
from orderlake.curation.status import table_status
from orderlake.curation.window import Window, windows
from orderlake.lake.catalog import Lake
from orderlake.lake.commit import Change, commit
from orderlake.lake.files import DataFileWriter
from orderlake.lake.partitions import partition_files
from orderlake.settings import Settings
from orderlake.times import day_ordinal
from tests.inprocess.conftest import DAY, RawOrders, order

ORDERS, MART = "analytics.orders", "marts.daily_orders"
DAYS = [DAY + dt.timedelta(days=n) for n in range(4)]


def stale(lake: Lake, models: dict[str, Model]) -> dict[str, list[dt.date]]:
    return {name: [d.day for d in days] for name, days in plan(lake, list(models.values())).stale.items()}


def bring_up_to_date(lake: Lake, models: dict[str, Model]) -> int:
    """Build everything that is out of date; return the number of built days."""
    planned = plan(lake, list(models.values()))
    for name, days in planned.stale.items():
        for window in windows([d.day for d in days], planned.idle[name]):
            build(lake, models[name], window, "run")
    return sum(map(len, planned.stale.values()))


def test_an_empty_lake_is_up_to_date(raw: RawOrders, lake: Lake, models: dict[str, Model]) -> None:
    assert stale(lake, models) == {ORDERS: [], MART: []}


def test_what_landed_is_out_of_date_until_it_is_built_and_then_no_more(
    raw: RawOrders, lake: Lake, models: dict[str, Model]
) -> None:
    raw.land([order(n, DAYS[n % 4]) for n in range(8)])
    assert stale(lake, models) == {ORDERS: DAYS, MART: DAYS}
    bring_up_to_date(lake, models)
    assert stale(lake, models) == {ORDERS: [], MART: []}


def test_one_late_event_makes_one_day_out_of_date_all_the_way(
    raw: RawOrders, lake: Lake, models: dict[str, Model]
) -> None:
    raw.land([order(n, DAYS[n % 4]) for n in range(8)])
    bring_up_to_date(lake, models)
    raw.land([order(99, DAYS[1])])
    planned = plan(lake, list(models.values()))
    assert [(d.day, d.reason) for d in planned.stale[ORDERS]] == [
        (DAYS[1], "raw.orders_created_v1 has 3 rows of the day, 2 when it was built")
    ]
    assert [d.day for d in planned.stale[MART]] == [DAYS[1]]
    assert bring_up_to_date(lake, models) == 2


def test_compaction_makes_nothing_out_of_date(raw: RawOrders, lake: Lake, models: dict[str, Model]) -> None:
    for n in range(5):
        raw.land([order(n)])
    bring_up_to_date(lake, models)
    table = raw.table
    live = partition_files(table, table.metadata, range(day_ordinal(DAY), day_ordinal(DAY) + 1))
    writer = DataFileWriter(table)
    for batch in table.scan().to_arrow().to_batches():
        writer.write(batch, __import__("numpy").full(len(batch), day_ordinal(DAY)))
    files = writer.close()
    commit(table, lambda _: Change(append=files, delete=list(live.values())))
    assert len(table.inspect.files()) == 1
    assert stale(lake, models) == {ORDERS: [], MART: []}


def test_expired_snapshots_and_a_lost_dagster_instance_make_nothing_out_of_date(
    raw: RawOrders, lake: Lake, models: dict[str, Model], settings: Settings
) -> None:
    raw.land([order(n, DAYS[n % 4]) for n in range(8)])
    bring_up_to_date(lake, models)
    for _ in range(10):
        commit(raw.table, lambda _: Change(keep_snapshots=2))
    shutil.rmtree(settings.dagster_home, ignore_errors=True)
    assert stale(lake, models) == {ORDERS: [], MART: []}


def test_a_table_built_by_hand_makes_its_readers_out_of_date(
    raw: RawOrders, lake: Lake, models: dict[str, Model]
) -> None:
    raw.land([order(1)])
    bring_up_to_date(lake, models)
    build(lake, models[ORDERS], Window(DAY, DAY), "by hand")
    planned = plan(lake, list(models.values()))
    assert planned.stale[ORDERS] == []
    assert [(d.day, d.reason) for d in planned.stale[MART]] == [(DAY, "analytics.orders was published anew")]


def test_another_model_makes_its_days_out_of_date(raw: RawOrders, lake: Lake, models: dict[str, Model]) -> None:
    raw.land([order(1)])
    bring_up_to_date(lake, models)
    edited = {**models, MART: replace(models[MART], sql=models[MART].sql.replace("count(*)", "count(1)"))}
    planned = plan(lake, list(edited.values()))
    assert planned.stale[ORDERS] == []
    assert [d.reason for d in planned.stale[MART]] == ["the model has changed"]


def test_a_dropped_table_is_built_again_whatever_the_ledger_says(
    raw: RawOrders, lake: Lake, models: dict[str, Model]
) -> None:
    raw.land([order(n, DAYS[n % 4]) for n in range(8)])
    bring_up_to_date(lake, models)
    lake.catalog.drop_table(MART)
    assert stale(lake, models) == {ORDERS: [], MART: DAYS}


def test_silent_days_between_do_not_split_a_run_and_are_not_out_of_date(
    raw: RawOrders, lake: Lake, models: dict[str, Model]
) -> None:
    raw.land([order(0, DAYS[0]), order(1, DAYS[3])])
    planned = plan(lake, list(models.values()))
    assert [d.day for d in planned.stale[ORDERS]] == [DAYS[0], DAYS[3]]
    assert list(windows([d.day for d in planned.stale[ORDERS]], planned.idle[ORDERS])) == [Window(DAYS[0], DAYS[3])]


def test_a_table_is_complete_up_to_its_first_day_that_is_out_of_date(
    raw: RawOrders, lake: Lake, models: dict[str, Model]
) -> None:
    from orderlake.lake.landing_state import STATE, LandingState, Range

    raw.land([order(n, DAYS[n % 4]) for n in range(8)])
    moment = int(dt.datetime(2026, 1, 13, 12, tzinfo=dt.UTC).timestamp()) * 1_000_000
    state = LandingState().advanced({0: Range(0, 8, 8)}, {0: moment})
    commit(raw.table, lambda _: Change(properties={STATE: state.to_property()}))
    bring_up_to_date(lake, models)
    complete = dt.datetime(2026, 1, 13, 11, 59, 55, tzinfo=dt.UTC)
    assert {s.table: s.watermark for s in table_status(lake, models)}[MART] == complete
    raw.land([order(99, DAYS[1])])
    found = {s.table: s for s in table_status(lake, models)}
    assert found["raw.orders_created_v1"].watermark == complete
    assert found[MART].watermark == found[ORDERS].watermark == dt.datetime(2026, 1, 11, tzinfo=dt.UTC)
    assert (found[ORDERS].stale_days, found[ORDERS].rows, found[ORDERS].partitions) == (1, 8, 4)
    assert found[ORDERS].checks_passed == 19
