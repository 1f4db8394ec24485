"""Checks are compiled from the contract alone: names, severities and thresholds are what its author wrote."""

from __future__ import annotations

import pytest

from orderlake.contracts.checks import CheckSpec, bind_object, compile_checks
from orderlake.contracts.odcs import load_contract
from orderlake.contracts.thresholds import Threshold
from orderlake.settings import builtin_root

TABLES = builtin_root() / "contracts" / "tables"


@pytest.fixture(scope="module")
def checks() -> dict[str, CheckSpec]:
    contract = load_contract(TABLES / "analytics" / "orders.yaml", "table")
    return {check.name: check for check in compile_checks(contract)}


def test_every_declared_rule_becomes_a_named_check(checks: dict[str, CheckSpec]) -> None:
    assert set(checks) == {
        "schema__matches_contract", "primary_key__unique", "event_id__required", "event_id__format",
        "event_time__required", "order_id__required", "order_id__length", "user_id__required", "user_id__length",
        "order_amount__required", "order_amount__range", "currency__required", "currency__pattern",
        "order_status__required", "order_status__enum", "processed_at__required", "every_landed_event_is_here",
        "processed_after_created", "one_order_one_event",
    }  # fmt: skip


def test_the_author_decides_severity_threshold_and_dimension(checks: dict[str, CheckSpec]) -> None:
    check = checks["one_order_one_event"]
    assert (check.kind, check.columns, check.blocking, check.dimension) == (
        "unique",
        ("order_id",),
        False,
        "uniqueness",
    )
    assert str(check.threshold) == "must be less than 1 percent"
    assert checks["order_amount__range"].blocking
    assert checks["event_id__required"].dimension == "completeness"


def test_a_check_points_to_the_line_of_the_contract_that_asks_for_it(checks: dict[str, CheckSpec]) -> None:
    lines = (TABLES / "analytics" / "orders.yaml").read_text().splitlines()
    assert "name: currency" in lines[checks["currency__pattern"].line - 1]
    assert "name: one_order_one_event" in lines[checks["one_order_one_event"].line - 1]


@pytest.mark.parametrize(
    ("threshold", "value", "rows", "passes"),
    [
        (Threshold("mustBe", 0), 0, 10, True),
        (Threshold("mustBe", 0), 1, 10, False),
        (Threshold("mustNotBe", 0), 1, 10, True),
        (Threshold("mustBeGreaterThan", 5), 5, 10, False),
        (Threshold("mustBeGreaterOrEqualTo", 5), 5, 10, True),
        (Threshold("mustBeLessThan", 5), 5, 10, False),
        (Threshold("mustBeLessOrEqualTo", 5), 5, 10, True),
        (Threshold("mustBeBetween", (1, 3)), 3, 10, True),
        (Threshold("mustBeBetween", (1, 3)), 4, 10, False),
        (Threshold("mustNotBeBetween", (1, 3)), 4, 10, True),
        (Threshold("mustBeLessThan", 1, "percent"), 1, 101, True),
        (Threshold("mustBeLessThan", 1, "percent"), 1, 100, False),
        (Threshold("mustBeLessThan", 1, "percent"), 0, 0, True),
    ],
)
def test_thresholds_are_the_operators_of_the_standard(
    threshold: Threshold, value: int, rows: int, passes: bool
) -> None:
    assert threshold.accepts(value, rows) is passes


def test_a_rule_may_name_its_table_in_every_way_the_standard_shows() -> None:
    for placeholder in ("{object}", "${object}", "{table}", "${table}"):
        assert bind_object(f"select count(*) from {placeholder}", "audited") == "select count(*) from audited"
