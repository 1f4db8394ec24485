"""Lineage in Dagster: on every definition and materialization, and a check that finds a column from nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from assets.lineage import LINEAGE_COMPLETE
from orchestration.build import build_defs
from orchestration.materialize import Graph, Job
from orderlake.curation.window import Window
from orderlake.lake.catalog import Lake
from orderlake.settings import Settings, builtin_root
from tests.inprocess.conftest import DAY, RawOrders, order

ORDERS, MART = "analytics.orders", "marts.daily_orders"
KEY = "dagster/column_lineage"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def deps(found: dg.TableColumnLineage) -> dict[str, list[str]]:
    return {
        column: [f"{dep.asset_key.to_user_string()} {dep.column_name}" for dep in deps]
        for column, deps in found.deps_by_column.items()
    }


def test_definitions_carry_one_hop_of_lineage(settings: Settings) -> None:
    specs = {spec.key.to_user_string(): spec for spec in build_defs(settings=settings).resolve_all_asset_specs()}
    raw = deps(specs["raw/orders_created_v1"].metadata[KEY])
    assert raw["order_id"] == ["kafka/orders.created.v1 $.order_id"]
    assert raw["_kafka_offset"] == ["kafka/orders.created.v1 message.offset"]
    assert raw["_landed_at"] == [], "the lander is no asset"
    orders = deps(specs["analytics/orders"].metadata[KEY])
    assert len(orders) == 8
    assert orders["processed_at"] == ["raw/orders_created_v1 _landed_at"]
    mart = deps(specs["marts/daily_orders"].metadata[KEY])
    assert sorted(mart["average"]) == ["analytics/orders event_id", "analytics/orders order_amount"]
    shown = specs["marts/daily_orders"].metadata["column_origins"].value
    assert "| orders | `analytics.orders.event_id` | `kafka:orders.created.v1 $.event_id` |" in shown
    assert "dagster/column_schema" in specs["analytics/orders"].metadata, "the rest is kept"
    assert KEY not in specs["kafka/orders.created.v1"].metadata
    # Dagster draws a dependency to an asset that does not exist without a word.
    named = {dep.asset_key for spec in specs.values() for d in spec.metadata.get(KEY, dg.TableColumnLineage({})).deps_by_column.values() for dep in d}  # fmt: skip
    assert named <= {spec.key for spec in specs.values()}


def test_materializations_carry_it_and_the_check_passes(
    settings: Settings, lake: Lake, raw: RawOrders, instance: dg.DagsterInstance
) -> None:
    raw.land([order(n) for n in range(3)])
    graph = Graph(settings, lake)
    outcome = graph.run(Job((ORDERS, MART), Window(DAY, DAY)), instance)
    assert outcome.success, outcome.problem
    checks = [(c.table, c.passed, c.text) for c in outcome.checks if c.check == LINEAGE_COMPLETE]
    assert sorted(checks) == [(ORDERS, True, "8 of 8 columns resolve"), (MART, True, "7 of 7 columns resolve")]
    event = instance.get_latest_materialization_event(dg.AssetKey(["marts", "daily_orders"]))
    assert event is not None
    assert event.asset_materialization is not None
    value = event.asset_materialization.metadata[KEY].value
    assert deps(value)["orders"] == ["analytics/orders event_id"]


def test_a_column_from_nowhere_fails_the_check_and_blocks_nothing(
    settings: Settings, lake: Lake, raw: RawOrders, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    text = (builtin_root() / "sql/models/analytics/orders.sql").read_text()
    path = tmp_path / "own/sql/models/analytics/orders.sql"
    path.parent.mkdir(parents=True)
    path.write_text(text.replace("    user_id,\n", "    'USR-' || 1 as user_id,\n"))
    raw.land([order(n) for n in range(3)])
    own = Settings(home=settings.home, paths=(tmp_path / "own",))
    outcome = Graph(own, lake).run(Job((ORDERS, MART), Window(DAY, DAY)), instance)
    assert outcome.success, "a warning: the rows are published"
    failed = {c.table: (c.check, c.text, c.blocking) for c in outcome.checks if not c.passed}
    assert failed == {
        ORDERS: (LINEAGE_COMPLETE, "7 of 8 columns resolve", False),
        MART: (LINEAGE_COMPLETE, "6 of 7 columns resolve", False),
    }
    record = instance.get_latest_asset_check_evaluation_record(
        dg.AssetCheckKey(dg.AssetKey(["marts", "daily_orders"]), LINEAGE_COMPLETE)
    )
    assert record is not None
    assert record.event.dagster_event is not None
    metadata = record.event.dagster_event.asset_check_evaluation_data.metadata
    (row,) = metadata["unresolved"].records
    assert row.data == {
        "column": "customers",
        "reason": "made of no column, only of 'USR-', 1",
        "where": "orders.sql:13",
    }


def test_the_balance_of_topics_is_checked_without_lineage(
    settings: Settings, lake: Lake, instance: dg.DagsterInstance
) -> None:
    # It runs at the end of every `orderlake materialize` and is reported as one line.
    assert {check.check for check in Graph(settings, lake).check_balance(instance).checks} == {
        "topic_equals_raw_and_quarantine"
    }
