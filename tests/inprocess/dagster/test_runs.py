"""Runs through Dagster: a range in one run, events per day, and a failed check that stops what depends on it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from assets.rollup import roll_up
from orchestration.build import build_defs
from orchestration.materialize import Graph
from orchestration.ranges import Job, jobs_for, require_partitions
from orderlake.contracts.checks import CheckSpec
from orderlake.curation.audit import Finding
from orderlake.curation.window import Window
from orderlake.errors import CommitConflictError, InputError, ModelError
from orderlake.lake.catalog import Lake
from orderlake.settings import Settings, builtin_root
from tests.inprocess.conftest import DAY, RawOrders, order

ORDERS, MART = "analytics.orders", "marts.daily_orders"
WINDOW = Window(DAY, DAY + dt.timedelta(days=2))


@pytest.fixture
def graph(settings: Settings, lake: Lake, raw: RawOrders) -> Graph:
    return Graph(settings, lake)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def materialized(instance: dg.DagsterInstance, *key: str) -> dict[str | None, dict[str, Any]]:
    records = instance.fetch_materializations(dg.AssetKey(key), limit=100).records
    return {
        r.asset_materialization.partition: {k: v.value for k, v in r.asset_materialization.metadata.items()}
        for r in records
        if r.asset_materialization
    }


def test_a_range_of_days_is_one_run_with_an_event_a_day(
    graph: Graph, instance: dg.DagsterInstance, raw: RawOrders
) -> None:
    raw.land([order(n, DAY + dt.timedelta(days=n % 3)) for n in range(30)])
    outcome = graph.run(Job((ORDERS, MART), WINDOW), instance)
    assert outcome.success, outcome.problem
    assert len(outcome.checks) == 39
    assert all(check.passed for check in outcome.checks)
    assert len(instance.get_run_records()) == 1
    events = materialized(instance, "analytics", "orders")
    assert sorted(k for k in events if k) == ["2026-01-10", "2026-01-11", "2026-01-12"]
    assert events["2026-01-11"]["dagster/partition_row_count"] == 10
    assert events["2026-01-11"]["dagster/row_count"] == 30
    assert events["2026-01-11"]["iceberg/snapshot_id"] == str(graph.lake.load(ORDERS).current_snapshot().snapshot_id)
    assert set(materialized(instance, "marts", "daily_orders")) == set(events)
    graph.run(Job((ORDERS,), Window(DAY, DAY)), instance)
    again = materialized(instance, "analytics", "orders")["2026-01-10"]
    assert (again["dagster/partition_row_count"], again["dagster/row_count"]) == (10, 30), (
        "rows of the table, not the run"
    )


def test_a_failed_blocking_check_leaves_its_result_no_materialization_and_nothing_downstream(
    graph: Graph, instance: dg.DagsterInstance, raw: RawOrders
) -> None:
    raw.land([order(1), order(2, order_amount=Decimal("-1.00"))])
    outcome = graph.run(Job((ORDERS, MART), Window(DAY, DAY)), instance)
    assert not outcome.success
    assert (
        outcome.problem
        == "not published of analytics.orders: 2026-01-10, where order_amount__range failed. Old rows stay."
    )
    failed = [check for check in outcome.checks if not check.passed]
    assert [(c.table, c.check, c.text) for c in failed] == [
        (ORDERS, "order_amount__range", "1 on 2026-01-10, must be 0 expected")
    ]
    assert len(outcome.checks) == 19, "a result for every declared check, and none of the mart"
    assert materialized(instance, "analytics", "orders") == {}
    assert materialized(instance, "marts", "daily_orders") == {}
    key = dg.AssetCheckKey(dg.AssetKey(["analytics", "orders"]), "order_amount__range")
    record = instance.get_latest_asset_check_evaluation_record(key)
    assert record is not None
    evaluation = record.event.dagster_event.asset_check_evaluation_data
    assert evaluation.metadata["samples"].value == [order(2)["event_id"]]
    assert evaluation.metadata["failed_partitions"].value == ["2026-01-10"]


def test_an_evaluation_is_the_roll_up_of_its_partitions(
    graph: Graph, instance: dg.DagsterInstance, raw: RawOrders
) -> None:
    days = WINDOW.days
    bad = [order(n, day, order_amount=Decimal(0)) for day in days[1:] for n in range(day.day * 10, day.day * 10 + 4)]
    raw.land([*(order(n, day) for n, day in enumerate(days)), *bad, order(99, days[0], order_id="O-0")])
    outcome = graph.run(Job((ORDERS,), WINDOW), instance)
    assert not outcome.success

    def evaluated(check: str) -> tuple[bool, str, dict[str, Any]]:
        key = dg.AssetCheckKey(dg.AssetKey(["analytics", "orders"]), check)
        record = instance.get_latest_asset_check_evaluation_record(key)
        assert record is not None
        evaluation = record.event.dagster_event.asset_check_evaluation_data
        return evaluation.passed, evaluation.severity.name, {k: v.value for k, v in evaluation.metadata.items()}

    passed, severity, metadata = evaluated("order_amount__range")
    line = metadata.pop("contract")
    assert (passed, severity) == (False, "ERROR")
    assert metadata == {
        "partitions": 3, "rows": 12, "value": 8, "threshold": "must be 0", "severity": "error",
        "answered_by": "scan, statistics",
        "failed_partition_count": 2, "failed_partitions": [day.isoformat() for day in days[1:]], "failed_value": 8,
        "samples": [row["event_id"] for row in bad[:5]],
    }  # fmt: skip
    file, number = line.split(":")
    assert "order_amount" in (builtin_root() / "contracts" / file).read_text().splitlines()[int(number) - 1]
    passed, severity, metadata = evaluated("one_order_one_event")
    assert (passed, severity, metadata["severity"], metadata["samples"]) == (False, "WARN", "warning", ["O-0"])
    passed, _, metadata = evaluated("event_id__required")
    assert (passed, metadata["answered_by"]) == (True, "statistics")
    assert "samples" not in metadata


def test_a_day_that_failed_before_keeps_the_evaluation_failed_but_not_the_run(
    graph: Graph, instance: dg.DagsterInstance, raw: RawOrders
) -> None:
    raw.land([order(1, order_amount=Decimal("-1.00")), order(2, DAY + dt.timedelta(days=1))])
    graph.run(Job((ORDERS,), Window(DAY, DAY)), instance)
    later = Window(DAY + dt.timedelta(days=1), DAY + dt.timedelta(days=1))
    outcome = graph.run(Job((ORDERS,), later), instance)
    assert outcome.success
    assert [(c.check, c.text) for c in outcome.checks if not c.passed] == [
        ("order_amount__range", "passed here; still failing on 2026-01-10")
    ]
    assert set(materialized(instance, "analytics", "orders")) == {"2026-01-11"}


def test_severity_info_is_a_warning_that_says_so() -> None:
    check = CheckSpec("c", "row", severity="info")
    finding = Finding(check, DAY, False, 1, 10, "scan", "tables/a/b.yaml:7", ("k",))
    (result,) = roll_up([finding], [check], {})
    assert result.severity is dg.AssetCheckSeverity.WARN
    assert result.metadata["severity"].value == "info"


def test_every_declared_check_has_a_result_where_there_is_nothing_to_look_at() -> None:
    checks = [CheckSpec("one", "row"), CheckSpec("two", "unique")]
    assert [(r.check_name, r.passed, r.description) for r in roll_up([], checks, {})] == [
        ("one", True, "no partition to look at"),
        ("two", True, "no partition to look at"),
    ]


def test_of_a_range_only_the_failed_day_is_withheld(graph: Graph, instance: dg.DagsterInstance, raw: RawOrders) -> None:
    raw.land([order(1), order(2, DAY + dt.timedelta(days=1), order_amount=Decimal("-1.00"))])
    outcome = graph.run(Job((ORDERS, MART), WINDOW), instance)
    assert not outcome.success
    assert outcome.problem is not None
    assert "2026-01-11, where order_amount__range failed" in outcome.problem
    events = materialized(instance, "analytics", "orders")
    assert {day: found["dagster/partition_row_count"] for day, found in events.items()} == {
        "2026-01-10": 1, "2026-01-12": 0,
    }  # fmt: skip
    assert materialized(instance, "marts", "daily_orders") == {}


def test_a_broken_machine_is_no_failed_check(
    graph: Graph, instance: dg.DagsterInstance, raw: RawOrders, monkeypatch: pytest.MonkeyPatch
) -> None:
    import assets.curated as module

    monkeypatch.setattr(module, "rebuild", lambda *_: (_ for _ in ()).throw(ModelError("the model is broken.")))
    outcome = graph.run(Job((ORDERS,), WINDOW), instance)
    assert not outcome.success
    assert outcome.checks == []
    assert outcome.problem == "the model is broken."
    assert [event.step_key for event in instance_events(instance, dg.DagsterEventType.STEP_UP_FOR_RETRY)] == []


def test_what_passes_by_itself_is_tried_again(
    graph: Graph, instance: dg.DagsterInstance, raw: RawOrders, monkeypatch: pytest.MonkeyPatch
) -> None:
    import assets.curated as module

    raw.land([order(1)])
    real, failures = module.rebuild, iter([CommitConflictError("another run published.")])

    def overtaken_once(*arguments: Any) -> Any:
        for failure in failures:
            raise failure
        return real(*arguments)

    monkeypatch.setattr(module, "rebuild", overtaken_once)
    outcome = graph.run(Job((ORDERS,), Window(DAY, DAY)), instance)
    assert outcome.success
    retried = instance_events(instance, dg.DagsterEventType.STEP_UP_FOR_RETRY)
    assert [event.step_key for event in retried] == ["analytics__orders"]


def instance_events(instance: dg.DagsterInstance, kind: dg.DagsterEventType) -> list[dg.DagsterEvent]:
    """Return the events of a kind of the newest run."""
    (run,) = instance.get_run_records(limit=1)
    return [e.dagster_event for e in instance.all_logs(run.dagster_run.run_id, of_type=kind) if e.dagster_event]


def test_checks_can_be_run_alone(graph: Graph, instance: dg.DagsterInstance, raw: RawOrders) -> None:
    raw.land([order(n) for n in range(5)])
    graph.run(Job((ORDERS,), Window(DAY, DAY)), instance)
    key = dg.AssetCheckKey(dg.AssetKey(["analytics", "orders"]), "currency__pattern")
    job = dg.define_asset_job("only_checks", selection=dg.AssetSelection.checks(key))
    defs = dg.Definitions.merge(graph._defs, dg.Definitions(jobs=[job]))
    result = defs.resolve_job_def("only_checks").execute_in_process(instance=instance)
    assert [(e.check_name, e.passed) for e in result.get_asset_check_evaluations()] == [("currency__pattern", True)]
    assert result.get_asset_materialization_events() == []


def test_what_is_out_of_date_becomes_the_fewest_runs(
    graph: Graph, raw: RawOrders, instance: dg.DagsterInstance
) -> None:
    raw.land([order(n, DAY + dt.timedelta(days=n % 3)) for n in range(30)])
    models = graph.select([])
    assert list(jobs_for(graph.stale(models), models)) == [Job((ORDERS, MART), WINDOW)]
    graph.run(Job((ORDERS,), WINDOW), instance)
    assert list(jobs_for(graph.stale(models), models)) == [Job((MART,), WINDOW)]
    graph.run(Job((MART,), WINDOW), instance)
    assert list(jobs_for(graph.stale(models), models)) == []


def test_tables_are_selected_by_name_wildcard_and_downstream(graph: Graph) -> None:
    names: Callable[[list[str]], list[str]] = lambda patterns: [model.name for model in graph.select(patterns)]  # noqa: E731
    assert names([]) == [ORDERS, MART]
    assert names(["marts.*"]) == [MART]
    assert names(["analytics.orders+"]) == [ORDERS, MART]
    with pytest.raises(InputError, match=r"names no table(.|\n)*analytics\.orders, marts\.daily_orders"):
        names(["analytics.order"])


def test_days_outside_the_partitions_are_refused() -> None:
    start = dt.date(2010, 1, 1)
    with pytest.raises(InputError, match="2010-01-01"):
        require_partitions(Window(dt.date(2009, 12, 31), dt.date(2009, 12, 31)), start)
    tomorrow = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
    with pytest.raises(InputError, match="do not all exist"):
        require_partitions(Window(tomorrow, tomorrow), start)


def test_a_recreated_table_is_made_anew_from_its_inputs(
    graph: Graph, raw: RawOrders, instance: dg.DagsterInstance, rows_of: Callable[..., list[dict[str, Any]]]
) -> None:
    raw.land([order(n) for n in range(5)])
    graph.run(Job((ORDERS,), Window(DAY, DAY)), instance)
    before = rows_of(ORDERS, "event_id")
    models = graph.select([ORDERS])
    graph.recreate(models)
    assert graph.lake.find(ORDERS) is None
    (job,) = jobs_for(graph.stale(models), models)
    assert graph.run(job, instance).success
    assert rows_of(ORDERS, "event_id") == before


def test_alerts_look_at_what_was_evaluated_not_at_what_a_run_plans(
    graph: Graph, instance: dg.DagsterInstance, raw: RawOrders
) -> None:
    """A failed step leaves the checks of what depends on it planned for ever."""
    raw.land([order(1)])
    graph.run(Job((ORDERS, MART), Window(DAY, DAY)), instance)
    raw.land([order(2, order_amount=Decimal("-1.00"))])
    graph.run(Job((ORDERS, MART), Window(DAY, DAY)), instance)
    planned = dg.AssetCheckKey(dg.AssetKey(["marts", "daily_orders"]), "amount__range")
    record = instance.get_latest_asset_check_evaluation_record(planned)
    assert record is not None
    assert record.status.name == "PLANNED"
    defs = build_defs(settings=graph.settings)
    context = dg.build_sensor_context(instance=instance, repository_def=defs.get_repository_def())
    found = next(sensor for sensor in defs.sensors or [] if sensor.name == "failed_checks")(context)
    assert isinstance(found, dg.SkipReason)
    assert found.skip_message == "1 alerts were sent"
    assert json.loads(context.cursor or "")["marts.daily_orders amount__range"] is True
