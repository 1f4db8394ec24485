"""A build is visible as a whole or not at all, and says the same rows every time it is repeated."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import orderlake.curation.build as module
from orderlake.contracts.registry import Registry
from orderlake.curation.build import build, check_published
from orderlake.curation.ledger import BUILDS, latest_builds
from orderlake.curation.models import Model, load_models
from orderlake.curation.staleness import plan
from orderlake.curation.verdicts import check_summary
from orderlake.curation.window import Window
from orderlake.errors import CommitConflictError, ModelError
from orderlake.lake.catalog import Lake
from orderlake.lake.duck import DuckSession
from orderlake.settings import builtin_root
from tests.inprocess.conftest import DAY, RawOrders, order

ORDERS, MART = "analytics.orders", "marts.daily_orders"
ONE = Window(DAY, DAY)
NEXT = DAY + dt.timedelta(days=1)
Rows = Callable[..., list[dict[str, Any]]]


def test_the_first_accepted_copy_of_an_event_is_kept(
    raw: RawOrders, lake: Lake, models: dict[str, Model], rows_of: Rows
) -> None:
    first = dt.datetime(2026, 1, 10, 11, tzinfo=dt.UTC)
    raw.land(
        [
            order(1, _landed_at=first + dt.timedelta(hours=1), _kafka_offset=90, user_id="second"),
            order(1, _landed_at=first, _kafka_offset=80, user_id="first"),
            order(1, _landed_at=first, _kafka_offset=81, user_id="tie"),
            order(2),
        ]
    )
    build(lake, models[ORDERS], ONE, "run")
    rows = rows_of(ORDERS, "event_id")
    assert [(row["order_id"], row["user_id"]) for row in rows] == [("O-1", "first"), ("O-2", "U-2")]
    assert rows[0]["processed_at"] == first
    assert list(rows[0]) == [c.name for c in models[ORDERS].contract], "exactly the eight columns, in order"


def test_a_day_is_built_again_to_the_same_rows(
    raw: RawOrders, lake: Lake, models: dict[str, Model], rows_of: Rows
) -> None:
    raw.land([order(n) for n in range(50)])
    build(lake, models[ORDERS], ONE, "one")
    before = rows_of(ORDERS, "event_id")
    build(lake, models[ORDERS], ONE, "two")
    assert rows_of(ORDERS, "event_id") == before
    assert len(before) == 50


def test_only_the_days_of_the_window_are_replaced_in_one_snapshot(
    raw: RawOrders, lake: Lake, models: dict[str, Model], rows_of: Rows
) -> None:
    raw.land([order(n, DAY + dt.timedelta(days=n % 4)) for n in range(40)])
    build(lake, models[ORDERS], Window(DAY, DAY + dt.timedelta(days=3)), "all")
    files = set(lake.load(ORDERS).inspect.files()["file_path"].to_pylist())
    raw.land([order(100, DAY), order(101, NEXT)])
    result = build(lake, models[ORDERS], Window(DAY, NEXT), "two")
    table = lake.load(ORDERS)
    kept = files & set(table.inspect.files()["file_path"].to_pylist())
    assert len(kept) == 2, "the files of the other two days are untouched"
    assert len(rows_of(ORDERS, "event_id")) == 42
    assert table.current_snapshot().snapshot_id == result.snapshot_id
    assert len(table.metadata.snapshots) == 2, "one snapshot a build, however many days"


def test_a_rule_that_is_a_query_looks_at_the_files_of_its_day_only(
    raw: RawOrders, lake: Lake, models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    attached: dict[str, list[int]] = {}
    attach = DuckSession.attach_files

    def noted(self: DuckSession, name: str, files: list[str]) -> None:
        attached.setdefault(name, []).append(len(files))
        attach(self, name, files)

    monkeypatch.setattr(DuckSession, "attach_files", noted)
    raw.land([order(n, DAY + dt.timedelta(days=n % 3)) for n in range(30)])
    build(lake, models[ORDERS], Window(DAY, DAY + dt.timedelta(days=2)), "run")
    assert attached["staged_day"] == [1, 1, 1]


def test_rows_that_are_gone_from_raw_are_gone_after_a_rebuild(
    raw: RawOrders, lake: Lake, models: dict[str, Model], rows_of: Rows
) -> None:
    raw.land([order(n) for n in range(3)])
    build(lake, models[ORDERS], ONE, "one")
    raw.table.delete("order_id == 'O-1'")
    build(lake, models[ORDERS], ONE, "two")
    assert [row["order_id"] for row in rows_of(ORDERS, "event_id")] == ["O-0", "O-2"]


def test_a_day_without_rows_is_built_to_nothing(raw: RawOrders, lake: Lake, models: dict[str, Model]) -> None:
    result = build(lake, models[ORDERS], ONE, "run")
    assert result.rows == {}
    assert result.snapshot_id is not None
    assert all(finding.passed for finding in result.findings)


def test_the_mart_counts_orders_customers_and_money(
    raw: RawOrders, lake: Lake, models: dict[str, Model], rows_of: Rows
) -> None:
    amounts = ["1.00", "2.00", "2.01"]
    raw.land(
        [order(n, user_id=f"U{n % 2}", order_amount=Decimal(a)) for n, a in enumerate(amounts)]
        + [order(9, currency="USD")]
    )
    build(lake, models[ORDERS], ONE, "run")
    build(lake, models[MART], ONE, "run")
    eur, usd = rows_of(MART, "currency")
    assert eur == {
        "day": DAY, "currency": "EUR", "orders": 3, "customers": 2, "amount": Decimal("5.01"),
        "average": Decimal("1.6700"), "largest": Decimal("2.01"),
    }  # fmt: skip
    assert usd["orders"] == 1


def test_a_failed_blocking_check_publishes_nothing_and_says_why(
    raw: RawOrders, lake: Lake, models: dict[str, Model], rows_of: Rows
) -> None:
    raw.land([order(1)])
    build(lake, models[ORDERS], ONE, "good")
    before = rows_of(ORDERS, "event_id")
    raw.land([order(2, order_amount=Decimal("-5.00")), order(3, order_amount=Decimal("0.00"))])
    result = build(lake, models[ORDERS], ONE, "bad")
    assert result.snapshot_id is None
    assert result.withheld == {DAY: ["order_amount__range"]}
    (finding,) = [f for f in result.findings if not f.passed]
    assert (finding.check.name, finding.value, finding.rows) == ("order_amount__range", 2.0, 3)
    assert set(finding.samples) == {order(2)["event_id"], order(3)["event_id"]}
    assert rows_of(ORDERS, "event_id") == before, "the day keeps what it had"
    assert check_summary(lake)[ORDERS][1:] == (1, ["order_amount__range"])
    assert latest_builds(lake, ORDERS)[DAY].run_id == "good"


def test_a_failed_day_does_not_keep_the_others_from_being_published(
    raw: RawOrders, lake: Lake, models: dict[str, Model], rows_of: Rows
) -> None:
    later = NEXT + dt.timedelta(days=1)
    raw.land([order(1), order(2, NEXT), order(3, later)])
    build(lake, models[ORDERS], Window(DAY, later), "before")
    raw.land([order(4), order(5, NEXT, order_amount=Decimal("-5.00")), order(6, later)])
    result = build(lake, models[ORDERS], Window(DAY, later), "after")
    assert result.withheld == {NEXT: ["order_amount__range"]}
    assert result.rows == {DAY: 2, later: 2}
    published = [row["order_id"] for row in rows_of(ORDERS, "event_id")]
    assert published == ["O-1", "O-2", "O-3", "O-4", "O-6"], "the withheld day keeps its old row"
    builds = latest_builds(lake, ORDERS)
    assert {day: build.run_id for day, build in builds.items()} == {DAY: "after", NEXT: "before", later: "after"}
    stale = plan(lake, [models[ORDERS], models[MART]]).stale
    assert [s.day for s in stale[ORDERS]] == [NEXT], "and goes on being out of date"


def test_a_range_gives_what_its_days_give_one_by_one(
    raw: RawOrders, lake: Lake, models: dict[str, Model], rows_of: Rows
) -> None:
    """Also where a producer sends one event_id with two days, which the contract asks it not to."""
    twice = {"event_id": order(1)["event_id"], "order_id": "again"}
    raw.land([order(1), order(2), order(3, NEXT, **twice), order(4, NEXT)])
    build(lake, models[ORDERS], Window(DAY, NEXT), "range")
    together = rows_of(ORDERS, "order_id")
    for day in (DAY, NEXT):
        build(lake, models[ORDERS], Window(day, day), "day")
    assert rows_of(ORDERS, "order_id") == together
    assert len(together) == 4


def test_a_null_that_a_model_must_not_return_fails_its_check_and_not_the_writing(
    raw: RawOrders, lake: Lake, models: dict[str, Model]
) -> None:
    raw.land([order(n) for n in range(5)])
    change = ("    user_id,\n", "    nullif(user_id, 'U-1') as user_id,\n")
    result = build(lake, edited_model(models[ORDERS], change), ONE, "run")
    assert [(f.check.name, f.value, f.samples) for f in result.findings if not f.passed] == [
        ("user_id__required", 1, (order(1)["event_id"],))
    ]
    assert lake.load(ORDERS).current_snapshot() is None


def test_a_warning_does_not_keep_a_day_from_being_published(
    raw: RawOrders, lake: Lake, models: dict[str, Model]
) -> None:
    raw.land([order(1), order(2, order_id="O-1")])
    result = build(lake, models[ORDERS], ONE, "run")
    assert result.snapshot_id is not None
    assert [(f.check.name, f.value, f.samples) for f in result.findings if not f.passed] == [
        ("one_order_one_event", 1.0, ("O-1",))
    ]


def test_every_declared_check_has_a_result_for_every_day(raw: RawOrders, lake: Lake, models: dict[str, Model]) -> None:
    raw.land([order(1), order(2, DAY + dt.timedelta(days=2))])
    result = build(lake, models[ORDERS], Window(DAY, DAY + dt.timedelta(days=2)), "run")
    found = {(f.day, f.check.name) for f in result.findings}
    assert len(found) == len(result.findings) == 2 * 19, "the silent day between has nothing to be checked"


def test_of_two_runs_over_the_same_day_one_is_refused(
    raw: RawOrders, lake: Lake, models: dict[str, Model], rows_of: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw.land([order(1)])
    build(lake, models[ORDERS], ONE, "zero")
    real = module.stage
    inner: list[object] = []

    def slow(*args: Any) -> Any:
        staged = real(*args)
        if not inner:
            inner.append(1)
            raw.land([order(2)])
            build(lake, models[ORDERS], ONE, "fast")
        return staged

    monkeypatch.setattr(module, "stage", slow)
    with pytest.raises(CommitConflictError, match="another run published"):
        build(lake, models[ORDERS], ONE, "slow")
    assert len(rows_of(ORDERS, "event_id")) == 2, "what the faster one published stands"


def test_two_runs_over_different_days_both_succeed(
    raw: RawOrders, lake: Lake, models: dict[str, Model], rows_of: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw.land([order(1), order(2, NEXT)])
    build(lake, models[ORDERS], Window(DAY, NEXT), "zero")
    real = module.stage
    inner: list[object] = []

    def slow(*args: Any) -> Any:
        staged = real(*args)
        if not inner:
            inner.append(1)
            build(lake, models[ORDERS], Window(NEXT, NEXT), "fast")
        return staged

    monkeypatch.setattr(module, "stage", slow)
    build(lake, models[ORDERS], ONE, "slow")
    assert len(rows_of(ORDERS, "event_id")) == 2


@pytest.mark.parametrize("step", ["stage", "record_check_results", "record_builds"])
def test_a_crash_at_any_step_leaves_the_old_day_or_the_new_one(
    raw: RawOrders, lake: Lake, models: dict[str, Model], rows_of: Rows, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    raw.land([order(1)])
    build(lake, models[ORDERS], ONE, "before")
    raw.land([order(2)])
    with monkeypatch.context() as patch:
        patch.setattr(module, step, lambda *_: (_ for _ in ()).throw(RuntimeError("killed")))
        with pytest.raises(RuntimeError, match="killed"):
            build(lake, models[ORDERS], ONE, "killed")
    rows = len(rows_of(ORDERS, "event_id"))
    assert rows == (1 if step == "stage" else 2)
    assert latest_builds(lake, ORDERS)[DAY].run_id == "before", "an unrecorded build is out of date, never fresh"
    build(lake, models[ORDERS], ONE, "after")
    assert len(rows_of(ORDERS, "event_id")) == 2


def edited_model(model: Model, *changes: tuple[str, str]) -> Model:
    sql = model.sql
    for old, new in changes:
        assert old in sql
        sql = sql.replace(old, new)
    return replace(model, sql=sql)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            ("    order_amount,\n", "    cast(order_amount as double) as order_amount,\n"),
            "returns the columns(.|\n)*order_amount double(.|\n)*decimal128",
        ),
        (("    currency,\n", ""), "returns the columns"),
        (("    event_time,\n", "    event_time + interval 1 day as event_time,\n"), "outside 2026-01-10"),
        (("    event_time,\n", "    nullif(event_time, event_time) as event_time,\n"), "1 rows without event_time"),
        (("    event_id,\n", "    nowhere as event_id,\n"), "cannot be run"),
    ],
    ids=["another type", "a missing column", "a row outside the window", "a row without a day", "an unknown column"],
)
def test_a_model_that_does_not_fit_its_contract_is_an_error_and_no_failed_check(
    raw: RawOrders, lake: Lake, models: dict[str, Model], change: tuple[str, str], says: str
) -> None:
    raw.land([order(1)])
    with pytest.raises(ModelError, match=says):
        build(lake, edited_model(models[ORDERS], change), ONE, "run")
    assert lake.find(BUILDS) is None
    assert lake.load(ORDERS).current_snapshot() is None


@pytest.mark.parametrize(
    ("query", "says"),
    [("select nowhere from {object}", "cannot be run"), ("select 1, 2", "one number"), ("select null", "one number")],
)
def test_a_rule_that_cannot_be_run_is_an_error_and_no_failed_check(
    raw: RawOrders, lake: Lake, models: dict[str, Model], query: str, says: str
) -> None:
    raw.land([order(1)])
    contract = models[ORDERS].contract
    rules = tuple(replace(r, query=query) if r.name == "processed_after_created" else r for r in contract.quality)
    with pytest.raises(ModelError, match=f"processed_after_created(.|\n)*{says}"):
        build(lake, replace(models[ORDERS], contract=replace(contract, quality=rules)), ONE, "run")
    assert check_summary(lake) == {}


def test_checks_can_look_at_what_is_published(raw: RawOrders, lake: Lake, models: dict[str, Model]) -> None:
    raw.land([order(n, DAY + dt.timedelta(days=n % 2)) for n in range(10)])
    build(lake, models[ORDERS], Window(DAY, NEXT), "run")
    from orderlake.contracts.checks import compile_checks

    checks = compile_checks(models[ORDERS].contract)
    findings = check_published(lake, models[ORDERS], checks, "again")
    assert len(findings) == 2 * len(checks)
    assert all(finding.passed for finding in findings)
    raw.land([order(99)])
    (late,) = [f for f in check_published(lake, models[ORDERS], checks, "late") if not f.passed]
    assert (late.check.name, late.day, late.value) == ("every_landed_event_is_here", DAY, 1.0)


def test_an_own_table_needs_a_contract_and_a_statement_and_no_code(
    raw: RawOrders, lake: Lake, tmp_path: Path, rows_of: Rows
) -> None:
    own = tmp_path / "own"
    (own / "contracts" / "tables" / "marts").mkdir(parents=True)
    (own / "sql" / "models" / "marts").mkdir(parents=True)
    (own / "contracts" / "tables" / "marts" / "big_orders.yaml").write_text(
        """
apiVersion: v3.2.0
kind: DataContract
id: urn:own:big
version: 1.0.0
status: active
team: {name: own}
schema:
  - name: big_orders
    physicalName: marts.big_orders
    physicalType: table
    properties:
      - {name: event_id, description: d, logicalType: string, required: true, primaryKey: true}
      - {name: event_time, description: d, logicalType: timestamp, required: true, partitioned: true}
"""
    )
    (own / "sql" / "models" / "marts" / "big_orders.sql").write_text(
        "-- grain: one row per event_id\n-- key: event_id\n-- inputs: analytics.orders\n"
        "select event_id, event_time from analytics.orders\n"
        "where order_amount > 5 and event_time >= $window_start and event_time < $window_end\n"
    )
    search = [own, builtin_root()]
    models = load_models(search, Registry(search))
    raw.land([order(n) for n in range(1000)])
    build(lake, models[ORDERS], ONE, "run")
    build(lake, models["marts.big_orders"], ONE, "run")
    assert len(rows_of("marts.big_orders", "event_id")) == 500
