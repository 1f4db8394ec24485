"""What happens by itself: raw days are reported, exactly what depends on them is built, and what was missed is caught up.

Time passes as the tests say: sensors are ticked, conditions evaluated and runs executed by hand, on a real lake and an
ephemeral Dagster instance.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal

import dagster as dg
import pytest

from assets.curated import ONLY_STALE
from orchestration import raw_days
from orchestration.build import build_defs
from orchestration.ranges import Job
from orderlake.curation.ledger import latest_builds
from orderlake.curation.window import windows
from orderlake.lake.catalog import Lake
from orderlake.lake.partitions import partition_files
from orderlake.settings import Settings
from orderlake.times import day_ordinal
from tests.inprocess.conftest import DAY, RawOrders, order

ORDERS, MART, RAW = "analytics.orders", "marts.daily_orders", "raw.orders_created_v1"
NEXT = DAY + dt.timedelta(days=1)
TODAY = DAY + dt.timedelta(days=14)


def sensor(defs: dg.Definitions, name: str) -> dg.SensorDefinition:
    """Return the sensor of that name."""
    return next(found for found in defs.sensors or [] if found.name == name)  # type: ignore[return-value]


class Harness:
    """A lake with its Dagster instance, and a clock that is moved by hand."""

    def __init__(self, settings: Settings, lake: Lake, instance: dg.DagsterInstance) -> None:
        self.lake = lake
        self.settings = settings
        self.instance = instance
        # Days of two months instead of sixteen years: evaluation takes as long as there are partitions.
        self.defs = build_defs(settings=settings.model_copy(update={"partitions_start": dt.date(2026, 1, 1)}))
        self.now = dt.datetime.combine(TODAY, dt.time(12), dt.UTC).timestamp()
        self.sensor_cursor: str | None = None
        self.conditions_cursor: object = None
        self.wait(0)
        self.evaluate()

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def report(self) -> dict[str, int]:
        """Tick the sensor of raw days; return what it reported: rows by day."""
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.sensor_cursor, definitions=self.defs,
            resources={"lake": self.defs.resources["lake"]},
        )  # fmt: skip
        result = sensor(self.defs, "raw_days")(context)
        self.sensor_cursor = result.cursor if isinstance(result, dg.SensorResult) else context.cursor
        reported = {}
        for event in result.asset_events if isinstance(result, dg.SensorResult) else ():
            self.instance.report_runless_asset_event(event)
            reported[event.partition] = event.metadata["dagster/partition_row_count"].value
        return reported

    def evaluate(self) -> dict[str, set[str]]:
        """Evaluate the conditions; return the days that are requested, by table."""
        result = dg.evaluate_automation_conditions(
            self.defs, self.instance, asset_selection=dg.AssetSelection.all(), cursor=self.conditions_cursor
        )
        self.conditions_cursor = result.cursor
        found = {name: result.get_requested_partitions(dg.AssetKey(name.split("."))) for name in (ORDERS, MART)}
        return {name: {str(day) for day in days} for name, days in found.items() if days}

    def run(self, requested: dict[str, set[str]]) -> list[bool]:
        """Execute what was requested as the daemon would: a run for every range of days; return how they ended."""
        asked = {frozenset(days) for days in requested.values()}
        ended = []
        for days in asked:
            keys = [dg.AssetKey(name.split(".")) for name, own in requested.items() if own == days]
            for window in windows(map(dt.date.fromisoformat, days)):
                result = self.defs.resolve_implicit_global_asset_job_def().execute_in_process(
                    instance=self.instance, asset_selection=keys, raise_on_error=False,
                    tags={**Job((), window).tags, ONLY_STALE: "true"},
                    run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                )  # fmt: skip
                ended.append(result.success)
        return ended

    def settle(self) -> list[dict[str, set[str]]]:
        """Evaluate and run until nothing is requested any more; return the requests."""
        rounds = []
        while requested := self.evaluate():
            rounds.append(requested)
            self.run(requested)
            assert len(rounds) < 6, f"it does not come to rest: {rounds}"
        return rounds

    def catch_up(self) -> list[tuple[set[str], str, str]]:
        """Tick the sensor that misses nothing; return tables, first and last day of its requests."""
        context = dg.build_sensor_context(
            instance=self.instance, definitions=self.defs, resources={"lake": self.defs.resources["lake"]}
        )
        result = sensor(self.defs, "catch_up")(context)
        requests = result.run_requests if isinstance(result, dg.SensorResult) else []
        return [
            (
                {".".join(key.path) for key in request.asset_selection},
                request.tags["dagster/asset_partition_range_start"],
                request.tags["dagster/asset_partition_range_end"],
            )
            for request in requests
        ]


@pytest.fixture
def harness(settings: Settings, lake: Lake, raw: RawOrders, monkeypatch: pytest.MonkeyPatch) -> Iterator[Harness]:
    with dg.DagsterInstance.ephemeral() as instance:
        harness = Harness(settings, lake, instance)
        monkeypatch.setattr(raw_days.time, "time", lambda: harness.now)
        yield harness


def test_a_landed_day_and_its_mart_day_are_built_together_once(harness: Harness, raw: RawOrders) -> None:
    raw.land([order(1), order(2), order(3, NEXT)])
    assert harness.report() == {str(DAY): 2, str(NEXT): 1}
    assert harness.settle() == [{ORDERS: {str(DAY), str(NEXT)}, MART: {str(DAY), str(NEXT)}}]
    assert {day: build.rows for day, build in latest_builds(harness.lake, ORDERS).items()} == {DAY: 2, NEXT: 1}


def test_a_late_event_builds_its_day_and_nothing_else(harness: Harness, raw: RawOrders) -> None:
    raw.land([order(n, DAY + dt.timedelta(days=n)) for n in range(15)])
    harness.report()
    harness.settle()
    before = latest_builds(harness.lake, MART)
    raw.land([order(100)])
    harness.wait(601)
    assert harness.report() == {str(DAY): 2}
    assert harness.settle() == [{ORDERS: {str(DAY)}, MART: {str(DAY)}}]
    after = latest_builds(harness.lake, MART)
    assert {day for day in after if after[day].publish_id != before[day].publish_id} == {DAY}


def test_without_news_nothing_is_reported_and_no_manifest_is_read(
    harness: Harness, raw: RawOrders, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw.land([order(1)])
    harness.report()
    harness.settle()
    harness.wait(3_600)
    monkeypatch.setattr("pyiceberg.manifest.ManifestFile.fetch_manifest_entry", lambda *_, **__: pytest.fail("read"))
    monkeypatch.setattr("pyiceberg.table.snapshots.Snapshot.manifests", lambda *_: pytest.fail("read"))
    assert harness.report() == {}
    assert harness.evaluate() == {}


def test_what_is_landed_after_the_first_look_does_not_wait_because_of_it(harness: Harness, raw: RawOrders) -> None:
    raw.land([order(1, TODAY), order(2)])
    assert harness.report() == {str(TODAY): 1, str(DAY): 1}
    raw.land([order(3, TODAY), order(4)])
    harness.wait(15)
    assert harness.report() == {str(TODAY): 2, str(DAY): 2}


def test_today_is_reported_once_a_minute_and_a_late_day_every_ten(harness: Harness, raw: RawOrders) -> None:
    assert harness.report() == {}
    raw.land([order(1, TODAY), order(2)])
    assert harness.report() == {str(TODAY): 1, str(DAY): 1}
    raw.land([order(3, TODAY), order(4)])
    harness.wait(30)
    assert harness.report() == {}
    harness.wait(30)
    assert harness.report() == {str(TODAY): 2}, "the late day waits"
    harness.wait(540)
    assert harness.report() == {str(DAY): 2}, "and is not forgotten"


def test_an_update_during_a_run_is_not_forgotten(harness: Harness, raw: RawOrders) -> None:
    raw.land([order(1, TODAY)])
    harness.report()
    requested = harness.evaluate()
    raw.land([order(2, TODAY)])
    harness.wait(61)
    assert harness.report() == {str(TODAY): 2}
    harness.run(requested)
    # The run has read the second event already or not: in either case the day is looked at once more.
    assert harness.settle() == [{ORDERS: {str(TODAY)}}, {MART: {str(TODAY)}}]
    assert harness.lake.load(MART).scan().to_arrow().column("orders").to_pylist() == [2]


def test_a_failed_check_stops_its_day_and_what_depends_on_that_day_only(harness: Harness, raw: RawOrders) -> None:
    raw.land([order(1), order(2, NEXT)])
    harness.report()
    harness.settle()
    raw.land([order(3, order_amount=Decimal("-1.00")), order(4, NEXT)])
    harness.wait(601)
    harness.report()
    requested = harness.evaluate()
    assert requested == {ORDERS: {str(DAY), str(NEXT)}, MART: {str(DAY), str(NEXT)}}
    assert harness.run(requested) == [False]
    rows = {day: build.rows for day, build in latest_builds(harness.lake, ORDERS).items()}
    assert rows == {DAY: 1, NEXT: 2}
    assert harness.settle() == [{MART: {str(NEXT)}}], "a failure is not repeated until something changes"
    orders = harness.lake.load(MART).scan().to_arrow().sort_by("day").column("orders").to_pylist()
    assert orders == [1, 2]


def test_a_silent_day_is_neither_requested_nor_in_the_way(harness: Harness, raw: RawOrders) -> None:
    raw.land([order(1), order(2, DAY + dt.timedelta(days=2))])
    harness.report()
    requested = harness.settle()
    assert requested == [{name: {str(DAY), str(DAY + dt.timedelta(days=2))} for name in (ORDERS, MART)}]


def test_today_exists_and_so_do_days_of_2010(settings: Settings) -> None:
    partitions = build_defs(settings=settings).get_assets_def(dg.AssetKey(ORDERS.split("."))).partitions_def
    assert partitions is not None
    keys = partitions.get_partition_keys(current_time=dt.datetime.combine(TODAY, dt.time(0, 0, 1), dt.UTC))
    assert keys[0] == "2010-01-01"
    assert keys[-1] == str(TODAY)


def test_a_compaction_is_no_news(harness: Harness, raw: RawOrders) -> None:
    raw.land([order(1)])
    raw.land([order(2)])
    harness.report()
    harness.settle()
    compact(raw)
    harness.wait(601)
    assert harness.report() == {}
    assert harness.catch_up() == []


def test_rows_that_came_with_a_compaction_between_two_looks_are_news(harness: Harness, raw: RawOrders) -> None:
    raw.land([order(1)])
    harness.report()
    raw.land([order(2)])
    compact(raw)
    harness.wait(601)
    assert harness.report() == {str(DAY): 2}


def compact(raw: RawOrders) -> None:
    """Rewrite the files of DAY into one, as maintenance would."""
    from orderlake.lake.commit import Change, commit
    from orderlake.lake.files import DataFileWriter

    rows = raw.table.refresh().scan().to_arrow()
    writer = DataFileWriter(raw.table)
    for batch in rows.combine_chunks().to_batches():
        writer.write(batch, pa_days(batch.num_rows))
    files = writer.close()
    old = partition_files(raw.table, raw.table.metadata, [day_ordinal(DAY)])
    commit(raw.table, lambda _: Change(append=files, delete=list(old.values())))


def pa_days(count: int):  # type: ignore[no-untyped-def]
    import numpy as np

    return np.full(count, day_ordinal(DAY), np.int64)


def test_a_deleted_instance_misses_nothing_and_builds_nothing_for_nothing(
    harness: Harness, raw: RawOrders, settings: Settings
) -> None:
    raw.land([order(1), order(2, NEXT)])
    harness.report()
    harness.settle()
    before = latest_builds(harness.lake, ORDERS)
    raw.land([order(3, NEXT)])
    with dg.DagsterInstance.ephemeral() as instance:
        anew = Harness(settings, harness.lake, instance)
        anew.now = harness.now + 7 * 86_400
        assert anew.catch_up() == [({ORDERS, MART}, str(NEXT), str(NEXT))], "state knows without any event"
        harness.now = anew.now
        assert anew.report() == {str(DAY): 1, str(NEXT): 2}
        anew.settle()
    after = latest_builds(harness.lake, ORDERS)
    assert after[DAY].publish_id == before[DAY].publish_id, "what was up to date was looked at, not built"
    assert after[NEXT].rows == 2


def test_a_failing_day_is_caught_up_with_once_per_state(harness: Harness, raw: RawOrders) -> None:
    raw.land([order(1, order_amount=Decimal("-1.00"))])

    def keys() -> list[str | None]:
        context = dg.build_sensor_context(
            instance=harness.instance, definitions=harness.defs, resources={"lake": harness.defs.resources["lake"]}
        )
        return [request.run_key for request in sensor(harness.defs, "catch_up")(context).run_requests]

    first = keys()
    harness.run({ORDERS: {str(DAY)}, MART: {str(DAY)}})
    assert keys() == first, "Dagster starts no second run with the same key"
    raw.land([order(2)])
    assert keys() != first


def test_expired_snapshots_of_raw_change_nothing(harness: Harness, raw: RawOrders) -> None:
    raw.land([order(1)])
    harness.report()
    harness.settle()
    raw.land([order(2, NEXT)])
    for snapshot in raw.table.refresh().snapshots()[:-1]:
        raw.table.maintenance.expire_snapshots().by_id(snapshot.snapshot_id).commit()
    harness.wait(601)
    assert harness.report() == {str(NEXT): 1}
