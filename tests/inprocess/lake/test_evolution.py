"""A contract that grows is followed; one that would change or hide rows is refused with the differences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orderlake.contracts.columns import raw_columns
from orderlake.contracts.model import Contract
from orderlake.contracts.odcs import load_contract
from orderlake.errors import LandingRefusedError
from orderlake.lake.catalog import Lake
from orderlake.lake.evolution import differences, evolve
from orderlake.lake.landing_tables import open_landing_tables
from orderlake.settings import Settings
from streaming.kafka import TopicIdentity
from streaming.lander.flush import flush_policy
from streaming.lander.hold import this_process
from streaming.lander.landing import open_landing
from streaming.lander.start import Begin
from streaming.lander.writer import WriterThread
from tests.inprocess.conftest import RawOrders, order

TOPIC = "topics/orders.created.v1.yaml"
Edit = Callable[..., Path]


def changed(edit_contract: Edit, *changes: tuple[str, str]) -> Contract:
    return load_contract(edit_contract(TOPIC, *changes) / "contracts" / TOPIC, "topic")


NEW_FIELD = (
    "slaProperties:",
    "      - {name: channel, description: d, logicalType: string, required: true}\nslaProperties:",
)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (NEW_FIELD, "channel string is new"),
        (("decimal(10,2)", "decimal(18,2)"), "order_amount changes from decimal(10, 2) to decimal(18, 2)"),
        (
            (
                "        required: true\n        classification: confidential",
                "        required: false\n        classification: confidential",
            ),
            "user_id becomes optional",
        ),
    ],
    ids=["a new field", "a wider type", "a field that may be missing now"],
)
def test_what_only_adds_is_applied(
    raw: RawOrders, lake: Lake, edit_contract: Edit, change: tuple[str, str], text: str
) -> None:
    raw.land([order(1)])
    contract = changed(edit_contract, change)
    table, _ = open_landing_tables(lake, contract)
    assert evolve(table, raw_columns(contract)) == [text]
    assert differences(table.schema(), raw_columns(contract)) == []
    assert table.scan().to_arrow().num_rows == 1
    assert evolve(table, raw_columns(contract)) == []


def test_the_lander_says_what_it_changed_whatever_it_was(
    raw: RawOrders, lake: Lake, settings: Settings, edit_contract: Edit, caplog: pytest.LogCaptureFixture
) -> None:
    contract = changed(edit_contract, ("decimal(10,2)", "decimal(18,2)"))
    identity = TopicIdentity("cluster", contract.physical_name, "topic-id", (0,))
    begin = Begin(contract, identity, *open_landing_tables(lake, contract), {0: 0}, {0: 0}, ())
    writer = WriterThread()
    with caplog.at_level("INFO", "streaming.lander"):
        open_landing(settings, begin, this_process(), flush_policy(settings), writer)
    writer.close()
    (record,) = caplog.records
    assert record.getMessage() == "the table follows the contract's changes"
    assert record.fields["changes"] == ["order_amount changes from decimal(10, 2) to decimal(18, 2)"]


def test_a_new_required_field_is_optional_in_the_table_because_old_rows_lack_it(
    raw: RawOrders, lake: Lake, edit_contract: Edit
) -> None:
    contract = changed(edit_contract, NEW_FIELD)
    table, _ = open_landing_tables(lake, contract)
    evolve(table, raw_columns(contract))
    assert not table.schema().find_field("channel").required


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (("name: currency", "name: money"), "currency is in the table but no longer in the contract"),
        (("decimal(10,2)", "decimal(10,3)"), r"order_amount changes from decimal\(10, 2\) to decimal\(10, 3\)"),
        (("decimal(10,2)", "decimal(8,2)"), r"order_amount changes from decimal\(10, 2\) to decimal\(8, 2\)"),
        (
            (
                "        logicalType: number\n        physicalType: decimal(10,2)",
                "        logicalType: number\n        physicalType: double",
            ),
            "order_amount changes from",
        ),
        (("{property: payload, value: keep", "{property: payload, value: drop"), "_payload is in the table"),
        (
            (
                "vendor: orderlake}\n    properties:",
                "vendor: orderlake}\n      - {property: partitionTransform, value: hour, vendor: orderlake}\n    properties:",
            ),
            "the partitioning changes",
        ),
    ],
    ids=["a renamed field", "another scale", "a narrower type", "another type", "payload dropped", "other partitions"],
)
def test_what_would_change_or_hide_rows_is_refused(
    raw: RawOrders, lake: Lake, edit_contract: Edit, change: tuple[str, str], text: str
) -> None:
    if "partitionTransform" in change[1]:
        change = (
            "        vendor: orderlake\n    properties:",
            "        vendor: orderlake\n      - {property: partitionTransform, value: hour, vendor: orderlake}\n    properties:",
        )
    with pytest.raises(LandingRefusedError, match=text) as caught:
        open_landing_tables(lake, changed(edit_contract, change))
    assert len(caught.value.remedy) == 2, "what happened, and the choices"
