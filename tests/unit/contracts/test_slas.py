"""Freshness is promised in the standard's words, and acted upon in seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orderlake.contracts.odcs import load_contract
from orderlake.contracts.slas import freshness_limit

TABLE = "tables/analytics/orders.yaml"
Edit = Callable[..., Path]


@pytest.mark.parametrize(
    ("value", "unit", "seconds"),
    [("15", "min", 900), ("0.5", "h", 1_800), ("2", "days", 172_800), ("90", "seconds", 90), ("1", "hour", 3_600)],
)
def test_the_limit_is_in_seconds(edit_contract: Edit, value: str, unit: str, seconds: float) -> None:
    path = edit_contract(TABLE, ("    value: 15\n    unit: min\n", f"    value: {value}\n    unit: {unit}\n"))
    assert freshness_limit(load_contract(path / "contracts" / TABLE, "table")) == seconds


def test_the_least_of_several_counts(edit_contract: Edit) -> None:
    path = edit_contract(TABLE, ("slaProperties:", "slaProperties:\n  - {property: freshness, value: 1, unit: min}"))
    assert freshness_limit(load_contract(path / "contracts" / TABLE, "table")) == 60


def test_without_a_promise_there_is_no_limit(edit_contract: Edit) -> None:
    path = edit_contract(TABLE, ("property: freshness", "property: latency"))
    assert freshness_limit(load_contract(path / "contracts" / TABLE, "table")) is None
