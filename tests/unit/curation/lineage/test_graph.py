"""Lineage from the marts to the messages: the shipped models are complete, own models show what they lack."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from orderlake.cli.lineage import select
from orderlake.cli.main import cli
from orderlake.contracts.registry import Registry
from orderlake.curation.lineage.graph import Lineage
from orderlake.curation.lineage.render import document, mermaid, tree
from orderlake.curation.lineage.values import DIRECT, Gap, Kind, Ref, through
from orderlake.curation.models import load_models
from orderlake.errors import InputError
from orderlake.settings import builtin_root

ORDERS, MART, RAW = "analytics.orders", "marts.daily_orders", "raw.orders_created_v1"
TOPIC = "kafka:orders.created.v1"


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., Lineage]:
    """Return the lineage of a lake whose model of analytics.orders, or of another table, is changed."""

    def build(*changes: tuple[str, str], table: str = ORDERS) -> Lineage:
        relative = f"sql/models/{table.replace('.', '/')}.sql"
        text = (builtin_root() / relative).read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / relative
        path.parent.mkdir(parents=True)
        path.write_text(text)
        return lineage_of(tmp_path, builtin_root())

    return build


def lineage_of(*folders: Path) -> Lineage:
    registry = Registry(folders)
    return Lineage(load_models(folders, registry), registry.topics.values())


@pytest.fixture(scope="module")
def shipped() -> Lineage:
    return lineage_of(builtin_root())


def origins(lineage: Lineage, table: str) -> dict[str, list[str]]:
    return {c.ref.column: [f"{o.ref} {o.kind}" for o in c.origins] for c in lineage.table(table).columns}


def test_every_column_of_analytics_orders_leads_into_the_topic(shipped: Lineage) -> None:
    assert str(shipped.table(ORDERS)) == "8 of 8 columns resolve"
    fields = ["event_id", "event_time", "order_id", "user_id", "order_amount", "currency", "order_status"]
    assert origins(shipped, ORDERS) == {
        **{field: [f"{TOPIC} $.{field} identity"] for field in fields},
        "processed_at": ["lander.clock identity"],
    }
    assert {f"{f.ref.column} {f.kind}" for f in shipped.table(ORDERS).filters} == {
        "event_time filter", "event_id filter", "_landed_at filter", "_kafka_partition filter", "_kafka_offset filter",
    }  # fmt: skip


def test_every_column_of_the_mart_leads_into_the_topic(shipped: Lineage) -> None:
    assert str(shipped.table(MART)) == "7 of 7 columns resolve"
    assert origins(shipped, MART) == {
        "day": [f"{TOPIC} $.event_time transformation"],
        "currency": [f"{TOPIC} $.currency identity"],
        "orders": [f"{TOPIC} $.event_id rows"],
        "customers": [f"{TOPIC} $.user_id aggregation"],
        "amount": [f"{TOPIC} $.order_amount aggregation"],
        "average": [f"{TOPIC} $.order_amount aggregation", f"{TOPIC} $.event_id rows"],
        "largest": [f"{TOPIC} $.order_amount aggregation"],
    }
    assert [f"{f.ref.column} {f.kind}" for f in shipped.table(MART).filters] == [
        "event_time filter", "event_time group_by", "currency group_by",
    ]  # fmt: skip


def test_every_column_of_a_raw_table_has_an_origin(shipped: Lineage) -> None:
    assert not shipped.table(RAW).unresolved
    found = origins(shipped, RAW)
    assert found["_kafka_offset"] == [f"{TOPIC} message.offset identity"]
    assert found["_kind"] == ["lander.kind identity"]
    assert found["_payload"] == [f"{TOPIC} $ identity"]


def test_json_in_the_payload_resolves_to_its_path_in_the_message(own: Callable[..., Lineage]) -> None:
    lineage = own(("    user_id,\n", "    decode(_payload)::json->>'$.buyer.accounts[0].userId' as user_id,\n"))
    assert origins(lineage, ORDERS)["user_id"] == [f"{TOPIC} $.buyer.accounts[*].userId transformation"]
    assert origins(lineage, MART)["customers"] == [f"{TOPIC} $.buyer.accounts[*].userId aggregation"]


def test_what_is_inside_a_column_can_be_asked_for(shipped: Lineage) -> None:
    (column,) = select(shipped, f"{RAW}._payload.data.order_id").columns
    assert [str(found.ref) for found in column.origins] == [f"{TOPIC} $.data.order_id"]
    (column,) = select(shipped, f"{ORDERS}.ORDER_ID").columns
    assert column.ref == Ref(ORDERS, "order_id")


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("'USR'", "made of no column, only of 'USR'"),
        ("cast(now() as varchar)", "made of no column, only of NOW()"),
        ("coalesce(user_id, customer_id)", f"{RAW} has no column customer_id"),
    ],
)
def test_a_column_that_leads_nowhere_is_found_with_its_place(
    own: Callable[..., Lineage], expression: str, reason: str
) -> None:
    lineage = own(("    user_id,\n", f"    {expression} as user_id,\n"))
    (column,) = lineage.table(ORDERS).unresolved
    (gap,) = column.gaps
    assert (column.ref.column, gap.reason, gap.where) == ("user_id", reason, "orders.sql:13")
    assert str(lineage.table(ORDERS)) == "7 of 8 columns resolve"
    (customers,) = lineage.table(MART).unresolved
    assert (customers.ref.column, customers.gaps) == ("customers", (gap,)), "what reads it does not resolve either"


def test_a_constant_beside_a_column_is_no_gap(own: Callable[..., Lineage]) -> None:
    lineage = own(("    user_id,\n", "    coalesce(user_id, 'unknown') as user_id,\n"))
    assert not lineage.table(ORDERS).unresolved


def test_a_missing_column_and_a_statement_that_cannot_be_followed_are_gaps_and_no_errors(
    own: Callable[..., Lineage], tmp_path: Path
) -> None:
    lineage = own(("    user_id,\n", ""))
    (column,) = lineage.table(ORDERS).unresolved
    assert column.gaps == (Gap("the statement returns no column user_id", "orders.sql:1", broken=True),)
    path = tmp_path / "sql/models/analytics/orders.sql"
    path.write_text(path.read_text().replace("    order_id,", "    orders_created_v1.nothing as order_id,"))
    broken = lineage_of(tmp_path, builtin_root())
    assert len(broken.table(ORDERS).unresolved) == 8
    assert "cannot be followed" in broken.table(ORDERS).columns[0].gaps[0].reason
    assert "UNRESOLVED orders.sql:1: the statement cannot be followed" in tree(broken, broken.table(ORDERS))


@pytest.mark.parametrize(
    ("outer", "inner", "both"),
    [
        ("identity", "identity", "identity"),
        ("transformation", "aggregation", "aggregation"),
        ("aggregation", "transformation", "aggregation"),
        ("identity", "rows", "rows"),
        ("filter", "aggregation", "filter"),
        ("conditional", "rows", "conditional"),
    ],
)
def test_two_steps_are_as_strong_as_the_stronger_and_as_direct_as_the_weaker(
    outer: Kind, inner: Kind, both: Kind
) -> None:
    assert through(outer, inner) == both
    assert (both in DIRECT) == (outer in DIRECT and inner in DIRECT)


# ---------------------------------------------------------------------------------------------- how it is shown


def test_the_tree_shows_expressions_and_every_step(shipped: Lineage) -> None:
    lines = tree(shipped, select(shipped, f"{MART}.average")).splitlines()
    assert lines == [
        "marts.daily_orders: 1 of 1 columns resolve",
        "├── average = CAST(ROUND(SUM(order_amount) / COUNT(*), 4) AS DECIMAL(18, 4))",
        "│   ├── analytics.orders.order_amount (aggregation)",
        "│   │   └── raw.orders_created_v1.order_amount",
        "│   │       └── kafka:orders.created.v1 $.order_amount",
        "│   └── analytics.orders.event_id (rows)",
        "│       └── raw.orders_created_v1.event_id",
        "│           └── kafka:orders.created.v1 $.event_id",
        "└── rows, which ones there are",
        "    ├── analytics.orders.event_time (filter)",
        "    ├── analytics.orders.event_time (group_by)",
        "    └── analytics.orders.currency (group_by)",
    ]


def test_the_flowchart_has_a_group_for_each_table_and_every_arrow(shipped: Lineage) -> None:
    lines = [line.strip() for line in mermaid(shipped, shipped.table(MART)).splitlines()]
    assert lines[0] == "flowchart LR"
    groups = [line.split('"')[1] for line in lines if line.startswith("subgraph")]
    assert groups == [TOPIC, RAW, ORDERS, MART], "from left to right"
    names = {line.split("[")[0]: line.split('"')[1] for line in lines if line.startswith("c") and '["' in line}
    assert len(names) == 7 + 5 * 3
    arrows = [line.split() for line in lines if "-->" in line or "-.->" in line]
    assert all(len(arrow) == 3 and arrow[0] in names and arrow[2] in names for arrow in arrows)
    shown = {(names[a], arrow, names[b]) for a, arrow, b in arrows}
    assert {("event_id", "-.->|rows|", "orders"), ("user_id", "-->|aggregation|", "customers")} <= shown
    assert ("$.order_amount", "-->", "order_amount") in shown


def test_the_flowchart_quotes_what_would_end_a_label_and_shows_gaps(own: Callable[..., Lineage]) -> None:
    lineage = own(("    user_id,\n", "    'say \"#1\" <b>' as user_id,\n"))
    chart = mermaid(lineage, lineage.table(ORDERS))
    assert "only of 'say #quot;#35;1#quot; #lt;b#gt;'\"]) -.-x c" in chart


def test_the_document_is_what_it_is_said_to_be(shipped: Lineage) -> None:
    found = document(select(shipped, f"{MART}.orders"))
    assert found["columns"] == [
        {
            "column": "orders",
            "expression": "COUNT(*)",
            "resolved": True,
            "inputs": [{"table": ORDERS, "column": "event_id", "type": "INDIRECT", "kind": "rows"}],
            "origins": [{"table": TOPIC, "column": "$.event_id", "type": "INDIRECT", "kind": "rows"}],
            "gaps": [],
        }
    ]
    assert found["filters"][0] == {"table": ORDERS, "column": "event_time", "type": "INDIRECT", "kind": "filter"}


def test_the_command_prints_all_three_forms() -> None:
    def run(*words: str) -> str:
        result = CliRunner().invoke(cli, ["lineage", *words])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert run().count(" columns resolve") == 2, "without a table: all that are made"
    assert run(MART).startswith("marts.daily_orders: 7 of 7 columns resolve\n")
    assert run(MART, "--mermaid").startswith("flowchart LR\n")
    (table,) = json.loads(run(f"{ORDERS}.processed_at", "--json"))["tables"]
    assert table["columns"][0]["origins"] == [
        {"table": "lander", "column": "clock", "type": "DIRECT", "kind": "identity"}
    ]


def test_an_unknown_name_is_refused_with_those_there_are(shipped: Lineage) -> None:
    for name in ("orders", "analytics.order", "analytics.order.x", ""):
        with pytest.raises(InputError, match=r"names no table(.|\n)*allowed: raw.orders_created_v1, analytics.orders"):
            select(shipped, name)
    for name in (f"{ORDERS}.amount", f"{ORDERS}."):
        with pytest.raises(InputError, match=r"analytics.orders has no column(.|\n)*allowed: event_id, event_time"):
            select(shipped, name)
