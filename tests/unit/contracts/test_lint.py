"""A contract that could not be kept is refused before anything runs, with file, line and what to write instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orderlake.contracts.model import Kind
from orderlake.contracts.odcs import examine, load_contract
from orderlake.contracts.registry import kind_of_place
from orderlake.errors import ContractError
from orderlake.settings import builtin_root

TOPIC = "topics/orders.created.v1.yaml"
TABLE = "tables/analytics/orders.yaml"

Edit = Callable[..., Path]


@pytest.mark.parametrize("path", sorted((builtin_root() / "contracts").rglob("*.yaml")), ids=lambda p: p.stem)
def test_the_built_in_contracts_have_no_problem_at_all(path: Path) -> None:
    kind: Kind = "topic" if path.parent.name == "topics" else "table"
    contract, problems = examine(path, kind)
    assert problems == []
    assert contract is not None


#: (what is wrong, the change that makes it so, what must be said, the text in whose line it must be said)
MISTAKES = [
    ("a mistyped key", ("        required: true\n        classification: confidential", "        requird: true\n        classification: confidential"), "'requird' is not a key the standard knows here; did you mean 'required'?", "requird"),
    ("a mistyped option", ("minLength: 1", "minLenght: 1"), "did you mean 'minLength'?", "minLenght"),
    ("a value of the wrong type", ("        required: true\n        classification: confidential", "        required: often\n        classification: confidential"), "'often' is not of type 'boolean'", "often"),
    ("an unknown ODCS version", ("apiVersion: v3.2.0", "apiVersion: v9.0.0"), "apiVersion 'v9.0.0' is not supported", "v9.0.0"),
    ("an unknown type", ("decimal(10,2)", "money"), "physicalType 'money' is unknown", "name: order_amount"),
    ("a type that does not fit", ("decimal(10,2)", "string"), "does not fit logicalType number", "name: order_amount"),
    ("a number without precision", ("        physicalType: decimal(10,2)\n", ""), "needs a physicalType", "name: order_amount"),
    ("a scale beyond the precision", ("decimal(10,2)", "decimal(2,10)"), "scale at most the precision", "name: order_amount"),
    ("an Iceberg metadata column", ("name: currency", "name: _pos"), "'_pos' is an Iceberg metadata column", "name: _pos"),
    ("a column that landing adds", ("name: currency", "name: _payload"), "is a column that landing adds", "name: _payload"),
    ("two names that are one for SQL", ("name: currency", "name: ORDER_ID"), "are one name for SQL engines", "name: ORDER_ID"),
    ("a pattern that RE2 cannot run", ("^[A-Z]{3}$", "^(?=A)[A-Z]{3}$"), "is not a RE2 pattern", "(?=A)"),
    ("lengths that exclude everything", ("minLength: 1, maxLength: 64}\n        required: true\n        classification: confidential", "minLength: 65, maxLength: 64}\n        required: true\n        classification: confidential"), "no value fits", "minLength: 65"),
    ("a rule nobody would enforce", ("{format: uuid}", "{format: email}"), "format 'email' is not enforced", "format: email"),
    ("no event time", ("        partitioned: true\n", ""), "have no `partitioned: true`", "properties:"),
    ("an event time that may be missing", ("        required: true\n        partitioned: true", "        required: false\n        partitioned: true"), "must be required", "properties:"),
    ("a key that is no property", ("value: order_id, vendor", "value: order_number, vendor"), "messageKey 'order_number' is not a property", "customProperties:"),
    ("an unknown dialect", ("value: flat", "value: morse"), "dialect: 'morse' is not allowed; allowed: flat", "value: morse"),
    ("a mistyped property of ours", ("property: payload", "property: payloud"), "'payloud' is not an orderlake property of a topic", "payloud"),
    ("nobody who owns it", ("  name: order-pipeline\n", ""), "has no name; the owning team", "team:"),
    ("a topic Kafka would refuse", ("physicalName: orders.created.v1", "physicalName: orders created"), "is not a Kafka topic", "physicalName"),
    ("an enum of the wrong type", ("{value: CREATED,", "{value: 5,"), "5 is not of type str", "value: 5"),
    ("a topic with fewer than no partitions", ("value: 4,", "value: -3,"), "topicPartitions: -3 is not allowed; allowed: a whole number from 1 on", "value: -3"),
    ("a yes for a number of partitions", ("value: 4,", "value: true,"), "topicPartitions: True is not allowed", "value: true"),
    ("a mistyped topic configuration", ("retention.ms: 604800000", "retention.msec: 604800000"), "'retention.msec' is not a topic configuration of Kafka; did you mean 'retention.ms'?", "retention.msec"),
    ("a topic configuration that is a list", ("cleanup.policy: delete", "cleanup.policy: [delete]"), "cleanup.policy is ['delete']; allowed: text, a number", "cleanup.policy"),
    ("restricted data in clear", ("classification: confidential", "classification: Restricted"), "user_id is restricted; restricted data cannot be tokenized or dropped yet", "classification: Restricted"),
    ("a freshness in parsecs", ("    unit: s\n", "    unit: parsec\n"), "'parsec' is no unit of a freshness; allowed: s, min, h, d, second", "unit: parsec"),
    ("a freshness without unit", ("    unit: s\n", ""), "has no unit; allowed: s, min", "property: freshness"),
    ("a freshness below zero", ("    value: 60\n", "    value: -60\n"), "freshness -60 is not a number greater than 0", "value: -60"),
    ("a freshness that is no number", ("    value: 60\n", "    value: '60'\n"), "freshness '60' is not a number greater than 0", "value: '60'"),
    ("a freshness of nothing", ("    value: 60\n    unit: s\n    element: orders_created.event_time", "    value: 60\n    unit: s\n    element: orders_created.event_tim"), "'orders_created.event_tim' is not a column of this contract, written orders_created.<column>", "element: orders_created.event_tim"),
    ("a retention of another table", ("unit: d, element: orders_created.event_time", "unit: d, element: event_time"), "'event_time' is not a column of this contract", "unit: d, element: event_time"),
    ("a kind that contradicts the folder", ("physicalType: topic", "physicalType: table"), "is 'table', but the file's folder (or --kind) says 'topic'", "physicalType: table"),
    ("a kind there is not", ("physicalType: topic", "physicalType: view"), "is 'view'; allowed: topic, table", "physicalType: view"),
    ("a binary field in JSON", ("        logicalType: string\n        logicalTypeOptions: {format: uuid}", "        logicalType: string\n        physicalType: binary"), "is no type of a field in the dialect flat", "name: event_id"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "says", "at"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES])
def test_a_mistake_in_a_topic_contract_is_named_with_its_line(
    edit_contract: Edit, change: tuple[str, str], says: str, at: str
) -> None:
    path = edit_contract(TOPIC, change) / "contracts" / TOPIC
    _, problems = examine(path, "topic")
    matching = [problem for problem in problems if says in problem.message]
    assert matching, [str(problem) for problem in problems]
    lines = path.read_text().splitlines()
    expected = [number for number, line in enumerate(lines, 1) if at in line]
    assert matching[0].line in expected, f"line {matching[0].line} instead of one of {expected}"
    assert matching[0].path == path


TABLE_MISTAKES = [
    ("no primary key", ("        primaryKey: true\n        primaryKeyPosition: 1\n", ""), "have no primaryKey"),
    ("a key that may be null", ("        logicalTypeOptions: {format: uuid}\n        required: true", "        logicalTypeOptions: {format: uuid}\n        required: false"), "part of the primary key and must be required"),
    ("a rule that is not SQL", ("select count(*) from {object} where processed_at", "select count(* from {object} where processed_at"), "the query is not SQL"),
    ("a rule that changes data", ("select count(*) from {object} where processed_at < event_time - interval 1 day", "delete from {object}"), "must be one SELECT"),
    ("an unknown metric", ("metric: duplicateValues", "metric: vibes"), "is not one of"),
    ("a column that is not there", ("{properties: [order_id]}", "{properties: [order]}"), "'order' is not a property"),
    ("an unknown severity", ("severity: warning", "severity: fatal"), "'fatal' is not allowed; allowed: error, warning, info"),
    ("two checks of one name", ("name: one_order_one_event", "name: event_id__required"), "two checks are named 'event_id__required'"),
    ("a namespace that is filled by landing", ("physicalName: analytics.orders", "physicalName: raw.orders"), "'raw.orders' is in a namespace that orderlake fills itself (raw, quarantine, ops)"),
    ("a namespace of orderlake's own", ("physicalName: analytics.orders", "physicalName: ops.orders"), "'ops.orders' is in a namespace that orderlake fills itself"),
    ("a rule on a column that is not there", ("where processed_at <", "where processed <"), "the query reads 'processed', which is no column of the table; its columns: event_id,"),
    ("two thresholds in one rule", ("        mustBeLessThan: 1\n", "        mustBeLessThan: 1\n        mustBe: 0\n"), "a rule has one threshold, this one has mustBe and mustBeLessThan; keep one"),
    ("a threshold of nothing", ("        mustBeLessThan: 1\n", "        mustBe: null\n"), "has no threshold; give one of mustBe, mustNotBe"),
    ("a name outside the grammar", ("physicalName: analytics.orders", "physicalName: Orders"), "is not namespace.table"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "says"), [m[1:] for m in TABLE_MISTAKES], ids=[m[0] for m in TABLE_MISTAKES])
def test_a_mistake_in_a_table_contract_is_named(edit_contract: Edit, change: tuple[str, str], says: str) -> None:
    _, problems = examine(edit_contract(TABLE, change) / "contracts" / TABLE, "table")
    assert any(says in problem.message for problem in problems), [str(problem) for problem in problems]
    assert not any("{'" in problem.message for problem in problems), "nobody writes contracts in Python"


def test_a_contract_says_itself_what_it_describes(edit_contract: Edit, tmp_path: Path) -> None:
    text = (builtin_root() / "contracts" / TOPIC).read_text()
    path = tmp_path / "draft.yaml"
    path.write_text(text)
    contract, problems = examine(path)
    assert (contract and contract.kind, problems) == ("topic", [])
    path.write_text(text.replace("    physicalType: topic\n", ""))
    assert [problem.message for problem in examine(path)[1]] == [
        "is not given, and the folder does not tell either; allowed: topic, table"
    ]
    assert examine(path, "topic")[1] == []


@pytest.mark.parametrize(
    ("place", "kind"),
    [("topics/a.yaml", "topic"), ("tables/marts/a.yaml", "table"), ("tables/a.yaml", "table"), ("a.yaml", None)],
)
def test_a_folder_may_tell_what_a_file_describes(tmp_path: Path, place: str, kind: Kind | None) -> None:
    assert kind_of_place(tmp_path / "contracts" / place) == kind


def test_all_problems_of_a_file_are_reported_together(edit_contract: Edit) -> None:
    path = (
        edit_contract(TOPIC, ("name: currency", "name: _pos"), ("name: user_id", "name: _kind")) / "contracts" / TOPIC
    )
    with pytest.raises(ContractError) as caught:
        load_contract(path, "topic")
    assert "2 problems" in caught.value.fact
    assert "_pos" in caught.value.fact
    assert "_kind" in caught.value.fact


def test_a_property_of_another_vendor_is_left_alone(edit_contract: Edit) -> None:
    change = (
        "{property: messageKey, value: order_id, vendor: orderlake}",
        "{property: messageKey, value: order_id, vendor: orderlake}\n      - {property: shard, value: 7, vendor: acme}",
    )
    _, problems = examine(edit_contract(TOPIC, change) / "contracts" / TOPIC, "topic")
    assert problems == []


@pytest.mark.parametrize("version", ["v3.0.0", "v3.0.2", "v3.1.0"])
def test_older_versions_of_the_standard_are_read(edit_contract: Edit, version: str) -> None:
    path = edit_contract(TOPIC, ("apiVersion: v3.2.0", f"apiVersion: {version}")) / "contracts" / TOPIC
    assert load_contract(path, "topic").physical_name == "orders.created.v1"


def test_a_column_without_description_is_a_warning_only(edit_contract: Edit) -> None:
    path = edit_contract(TOPIC, ("        description: The customer who ordered.\n", "")) / "contracts" / TOPIC
    _, problems = examine(path, "topic")
    assert [(p.severity, "user_id has no description" in p.message) for p in problems] == [("warning", True)]
