"""A ledger that an earlier version began goes on, with the columns that have come since."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from pyiceberg.exceptions import CommitFailedException

import orderlake.curation.ledger as module
from orderlake.curation.ledger import CHECK_RESULTS, CheckResult, record_check_results
from orderlake.curation.verdicts import check_summary
from orderlake.lake.catalog import Lake
from tests.inprocess.conftest import DAY


def result(run: str, *, passed: bool = True, hour: int = 0, **known: Any) -> CheckResult:
    at = dt.datetime(2026, 1, 11, hour, tzinfo=dt.UTC)
    return CheckResult("a.b", DAY, "c__required", passed, "error", 0, "must be 0", 10, run, at, **known)


@pytest.fixture
def earlier(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake with a result in a ledger that has none of the newer columns."""
    with monkeypatch.context() as patch:
        newer = {"answered_by", "contract_line"}
        patch.setattr(module, "_CHECK_COLUMNS", [c for c in module._CHECK_COLUMNS if c.name not in newer])
        record_check_results(lake, [result("before", passed=False)])
    assert not newer & set(lake.load(CHECK_RESULTS).schema().column_names)
    return lake


def test_results_of_an_earlier_version_stay_beside_new_ones(earlier: Lake) -> None:
    assert check_summary(earlier)["a.b"] == (0, 1, ["c__required"])
    record_check_results(earlier, [result("after", hour=1, answered_by="scan", contract_line="tables/a/b.yaml:7")])
    rows = earlier.load(CHECK_RESULTS).scan().to_arrow().sort_by("checked_at").to_pylist()
    assert [(row["run_id"], row["answered_by"], row["contract_line"]) for row in rows] == [
        ("before", None, None),
        ("after", "scan", "tables/a/b.yaml:7"),
    ]
    assert check_summary(earlier)["a.b"] == (1, 0, [])


def test_two_processes_may_add_the_columns_at_once(earlier: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    real = module.evolve
    calls = []

    def overtaken(table: Any, columns: Any) -> Any:
        calls.append(table)
        if len(calls) == 1:
            real(earlier.load(CHECK_RESULTS), columns)
            raise CommitFailedException("the schema has changed")
        return real(table, columns)

    monkeypatch.setattr(module, "evolve", overtaken)
    record_check_results(earlier, [result("after", hour=1, answered_by="scan")])
    assert len(calls) == 2
    assert earlier.load(CHECK_RESULTS).scan().to_arrow().num_rows == 2
