"""A user brings own contracts without forking; two that collide are refused instead of one winning in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orderlake.contracts.registry import Registry
from orderlake.errors import ContractError
from orderlake.settings import builtin_root

TOPIC = "topics/orders.created.v1.yaml"
Edit = Callable[..., Path]


def test_the_built_in_contracts_are_found() -> None:
    registry = Registry([builtin_root()])
    assert "orders.created.v1" in registry.topics
    assert {"analytics.orders", "marts.daily_orders"} <= set(registry.tables)


def test_an_own_contract_takes_the_place_of_the_built_in_one(edit_contract: Edit) -> None:
    own = edit_contract(TOPIC, ("version: 1.0.0", "version: 7.0.0"))
    assert Registry([own, builtin_root()]).topic("orders.created.v1").version == "7.0.0"
    assert Registry([builtin_root()]).topic("orders.created.v1").version == "1.0.0"


def test_a_new_topic_needs_only_its_contract(edit_contract: Edit) -> None:
    own = edit_contract(TOPIC, ("physicalName: orders.created.v1", "physicalName: orders.created.v2"))
    assert {"orders.created.v1", "orders.created.v2"} <= set(Registry([own, builtin_root()]).topics)


def test_two_contracts_of_one_topic_in_one_folder_are_refused(edit_contract: Edit) -> None:
    own = edit_contract(TOPIC)
    copy = own / "contracts" / "topics" / "copy.yaml"
    copy.write_text((own / "contracts" / TOPIC).read_text())
    with pytest.raises(ContractError, match=r"are both the contract of orders\.created\.v1"):
        _ = Registry([own]).topics


def test_two_topics_that_would_share_a_table_are_refused(edit_contract: Edit) -> None:
    own = edit_contract(TOPIC, ("physicalName: orders.created.v1", "physicalName: orders-created.v1"))
    with pytest.raises(ContractError, match=r"would both land in raw\.orders_created_v1"):
        _ = Registry([own, builtin_root()]).topics


def test_an_unknown_name_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(ContractError, match=r"did you mean 'orders\.created\.v1'"):
        Registry([builtin_root()]).topic("orders.create.v1")


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"nowhere is not a folder(.|\n)*ORDERLAKE_PATHS"):
        _ = Registry([tmp_path / "nowhere"]).topics
