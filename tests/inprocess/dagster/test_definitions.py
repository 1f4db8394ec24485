"""Every asset says who owns it, what it is and how it is checked; its key is its address in every environment."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from orchestration.build import build_defs
from orderlake.settings import Settings


@pytest.fixture(scope="module")
def defs(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return build_defs(settings=Settings(home=tmp_path_factory.mktemp("lake")))


def specs(defs: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def test_keys_are_addresses(defs: dg.Definitions) -> None:
    assert set(specs(defs)) == {
        "kafka/orders.created.v1", "raw/orders_created_v1", "analytics/orders", "marts/daily_orders",
    }  # fmt: skip


def test_the_keys_do_not_depend_on_the_environment(defs: dg.Definitions, tmp_path: Path) -> None:
    from orderlake.settings import KafkaSettings

    other = Settings(home=tmp_path, kafka=KafkaSettings(bootstrap_servers="elsewhere:9092"))
    assert set(specs(build_defs(settings=other))) == set(specs(defs))


def test_a_run_is_one_process(defs: dg.Definitions) -> None:
    assert defs.resolve_implicit_global_asset_job_def().executor_def.name == "in_process"


def test_lineage_runs_from_the_topic_to_the_mart(defs: dg.Definitions) -> None:
    found = specs(defs)
    upstream = {name: [dep.asset_key.to_user_string() for dep in spec.deps] for name, spec in found.items()}
    assert upstream["marts/daily_orders"] == ["analytics/orders"]
    assert upstream["analytics/orders"] == ["raw/orders_created_v1"]
    assert upstream["raw/orders_created_v1"] == ["kafka/orders.created.v1"]


def test_every_asset_states_what_it_is(defs: dg.Definitions) -> None:
    """Nothing is listed here by name, so that a table that comes later has to do so too."""
    found = specs(defs)
    assert len(found) >= 4
    for name, spec in found.items():
        namespace, _, table = name.partition("/")
        assert spec.description, name
        assert spec.group_name == namespace
        assert spec.kinds, name
        assert [owner.startswith("team:") for owner in spec.owners] == [True], name
        assert spec.tags["layer"], name
        assert spec.tags["contract_version"], name
        if namespace == "kafka":
            continue
        assert spec.code_version, name
        assert isinstance(spec.partitions_def, dg.DailyPartitionsDefinition), name
        schema = spec.metadata["dagster/column_schema"]
        assert isinstance(schema, dg.TableSchema), name
        assert all(column.description for column in schema.columns), name
        assert spec.metadata["dagster/table_name"] == f"{namespace}.{table}"
        lineage = spec.metadata["dagster/column_lineage"]
        assert isinstance(lineage, dg.TableColumnLineage), name
        if namespace != "raw":
            assert set(lineage.deps_by_column) == {column.name for column in schema.columns}
            assert spec.automation_condition is not None, name


def test_columns_carry_constraints_and_classification(defs: dg.Definitions) -> None:
    schema = specs(defs)["analytics/orders"].metadata["dagster/column_schema"]
    columns = {column.name: column for column in schema.columns}
    assert [column.name for column in schema.columns] == [
        "event_id", "event_time", "order_id", "user_id", "order_amount", "currency", "order_status", "processed_at",
    ]  # fmt: skip
    assert columns["user_id"].tags == {"classification": "confidential"}
    assert not columns["order_amount"].constraints.nullable
    assert columns["order_amount"].constraints.other == ["> 0"]
    assert columns["user_id"].constraints.other == ["min length 1", "max length 64"]
    assert columns["order_status"].constraints.other == ["one of CREATED"]
    assert columns["event_id"].constraints.other == ["primary key", "format uuid"]
    assert columns["event_id"].constraints.unique


def test_partitions_reach_back_to_the_start_and_today_exists(defs: dg.Definitions) -> None:
    import datetime as dt

    partitions = specs(defs)["analytics/orders"].partitions_def
    assert isinstance(partitions, dg.DailyPartitionsDefinition)
    keys = partitions.get_partition_keys()
    assert (keys[0], keys[-1]) == ("2010-01-01", dt.datetime.now(dt.UTC).date().isoformat())


def test_the_contracts_checks_are_the_assets_checks(defs: dg.Definitions) -> None:
    by_asset: dict[str, set[str]] = {}
    for key in defs.resolve_asset_graph().asset_check_keys:
        by_asset.setdefault(key.asset_key.to_user_string(), set()).add(key.name)
    assert by_asset["raw/orders_created_v1"] == {"topic_equals_raw_and_quarantine", "freshness"}
    assert len(by_asset["analytics/orders"]) == 22
    assert {"freshness", "incremental_equals_full"} <= by_asset["analytics/orders"]
    assert {"order_amount__range", "every_landed_event_is_here", "lineage_complete"} <= by_asset["analytics/orders"]
    assert len(by_asset["marts/daily_orders"]) == 21


def test_everything_is_loadable(defs: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(defs)
    assert defs.resolve_implicit_global_asset_job_def() is not None


def test_every_call_returns_a_fresh_object(defs: dg.Definitions, tmp_path: Path) -> None:
    assert build_defs(settings=Settings(home=tmp_path)) is not defs


def test_a_new_instance_has_its_storage_before_webserver_and_daemon_start(settings: Settings) -> None:
    import sqlite3

    from orchestration.instance import initialize_instance

    home = initialize_instance(settings)
    databases = list(home.rglob("*.db"))
    versions = {}
    for path in databases:
        with sqlite3.connect(path) as connection:
            versions[path.name] = connection.execute("select count(*) from alembic_version").fetchone()[0]
    assert versions
    assert set(versions.values()) == {1}
    assert {"runs.db", "schedules.db", "index.db"} <= set(versions)
