"""Checks are answered by the cheapest that can: the catalog, statistics of the files, one scan, a query a day."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderlake.curation.evidence import Evidence, staged_evidence
from orderlake.errors import QueryError
from orderlake.lake.duck import DuckSession
from tests.inprocess.curation.conftest import DAYS, Guarded, Row, good_row, good_rows

#: What statistics of our own files can prove; ratio and share are doubles, whose files do not count NaN.
PROVABLE = {
    "schema__matches_contract", "id__required", "at__required", "must__required", "email_is_given", "price__range",
    "weight__range", "about_ten_a_day",
}  # fmt: skip


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The statements that are run."""
    statements: list[str] = []
    real = DuckSession.execute

    def execute(self: DuckSession, statement: str, parameters: Any = None) -> Any:
        statements.append(statement)
        return real(self, statement, parameters)

    monkeypatch.setattr(DuckSession, "execute", execute)
    return statements


def test_rules_that_statistics_prove_are_answered_without_the_files(
    guarded: Guarded, tmp_path: Path, executed: list[str]
) -> None:
    guarded.publish(good_rows())
    for file in (tmp_path / "lake" / "warehouse").rglob("*.parquet"):
        file.unlink()
    checks = [check for check in guarded.checks if check.name in PROVABLE]
    findings = guarded.audit_published(checks)
    assert len(findings) == len(DAYS) * len(checks)
    assert all(finding.passed and finding.rows == 10 for finding in findings)
    assert {f.check.name: f.answered_by for f in findings} == {
        name: "catalog" if name == "schema__matches_contract" else "statistics" for name in PROVABLE
    }
    assert executed == []
    (other,) = [check for check in guarded.checks if check.name == "status__enum"]
    with pytest.raises(QueryError):
        guarded.audit_published([other])


def test_rows_that_need_not_be_read_are_not_even_attached(guarded: Guarded) -> None:
    """Opening a Parquet file for its columns is a request to the object store, too."""
    files = guarded.write([good_row(day, 1) for day in DAYS])
    for file in files:
        Path(file.file_path.removeprefix("file://")).unlink()
    checks = [c for c in guarded.checks if c.name in PROVABLE or c.kind == "unique"]
    findings = guarded.audit_staged(files, checks)
    assert {f.answered_by for f in findings} == {"catalog", "statistics"}, "a single row repeats nothing"
    assert [f.check.name for f in findings if not f.passed] == ["about_ten_a_day"] * 3


def test_the_scan_is_one_statement_that_reads_the_files_once(guarded: Guarded, executed: list[str]) -> None:
    rows = good_rows()
    for row in rows:
        row["status"] = row["serial"] = "bad"
    checks = [check for check in guarded.checks if check.kind != "sql"]
    findings = guarded.audit_staged(guarded.write(rows), checks)
    (statement,) = executed
    answered = {f.check.name: (f.answered_by, f.value, len(f.samples)) for f in findings if f.day == DAYS[1]}
    assert answered["status__enum"] == ("scan", 10, 5)
    assert answered["serial__unique"] == ("scan", 9, 1)
    assert answered["must__required"][0] == "statistics", "what is proven is not asked again"
    assert '"must"' not in statement
    with DuckSession() as session:
        session.attach_files("staged", [file.file_path for file in guarded.write(rows)])
        plan = session.execute(f"explain (format json) {statement}").fetchall()[0][1]
    assert plan.count('"name": "READ_PARQUET') == 1


def test_a_rule_that_one_day_breaks_is_read_for_that_day_only(guarded: Guarded, executed: list[str]) -> None:
    rows = good_rows()
    rows[13]["must"] = None
    checks = [check for check in guarded.checks if check.name in PROVABLE]
    findings = guarded.audit_staged(guarded.write(rows), checks)
    (statement,) = executed
    assert "\"at\" >= date '2026-01-11' and \"at\" < date '2026-01-12'" in statement
    by_scan = [(f.day, f.check.name, f.value, f.samples) for f in findings if f.answered_by == "scan"]
    assert by_scan == [(DAYS[1], "must__required", 1, ("103",))]


def test_queries_are_run_a_day(guarded: Guarded, executed: list[str]) -> None:
    checks = [check for check in guarded.checks if check.kind == "sql"]
    findings = guarded.audit_staged(guarded.write(good_rows()), checks)
    assert [(f.day, f.answered_by) for f in findings] == [(day, "query") for day in DAYS]
    assert sum("low >= high" in statement for statement in executed) == 3


def test_where_delete_files_take_rows_away_counts_are_read_and_proofs_stand(guarded: Guarded) -> None:
    files = guarded.write(good_rows())
    known = replace(staged_evidence(guarded.contract, guarded.table, files), exact=False)
    checks = [check for check in guarded.checks if check.name in PROVABLE]
    findings = guarded.audit_staged(files, checks, known)
    assert {f.check.name: f.answered_by for f in findings} == {
        name: {"schema__matches_contract": "catalog", "about_ten_a_day": "scan"}.get(name, "statistics")
        for name in PROVABLE
    }
    assert all(f.passed and f.rows == 10 for f in findings)


def test_a_day_without_rows_is_answered_too(guarded: Guarded) -> None:
    findings = guarded.audit_staged(guarded.write([row for row in good_rows() if row["at"].date() != DAYS[1]]))
    empty = [f for f in findings if f.day == DAYS[1]]
    assert len(empty) == len(guarded.checks)
    assert [(f.check.name, f.value) for f in empty if not f.passed] == [("about_ten_a_day", 0)]


def test_a_scan_that_cannot_be_run_is_no_failed_check(guarded: Guarded) -> None:
    checks = [replace(c, predicate="nowhere > 1") for c in guarded.checks if c.name == "status__enum"]
    with pytest.raises(QueryError, match="nowhere"):
        guarded.audit_staged(guarded.write(good_rows()), checks)


def test_a_finding_says_which_line_of_the_contract_asks_for_it(guarded: Guarded) -> None:
    lines = guarded.contract.path.read_text().splitlines()
    for finding in guarded.audit_staged(guarded.write(good_rows())):
        file, _, line = finding.contract_line.partition(":")
        assert file == "tables/analytics/guarded.yaml", "no path of this machine"
        said = lines[int(line) - 1]
        named = "guarded" if finding.check.kind == "schema" else finding.check.name.split("__")[0]
        assert (named if named != "primary_key" else "primaryKey") in said


_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.one_of(st.none(), st.integers(-3, 20), st.integers(-(2**63), 2**63 - 1)),
            "must": st.one_of(st.none(), st.text(max_size=3)),
            "price": st.one_of(st.none(), st.decimals(-1, 2, places=2), st.just(Decimal("99999999.99"))),
            "weight": st.one_of(st.none(), st.integers(90, 105), st.integers(-(2**63), 2**63 - 1)),
            "ratio": st.one_of(st.none(), st.floats()),
            "share": st.one_of(st.none(), st.floats()),
            "day": st.sampled_from(DAYS),
        }
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_ROWS)
def test_statistics_and_the_scan_say_what_the_rows_say(guarded: Guarded, chosen: list[dict[str, Any]]) -> None:
    rows: list[Row] = []
    for number, choice in enumerate(chosen):
        values = dict(choice)
        rows.append({**good_row(values.pop("day"), number), **values})
    files = guarded.write(rows)
    wanted = {"id__required", "must__required", "primary_key__unique", "about_ten_a_day"}
    checks = [c for c in guarded.checks if c.name in wanted or c.name.endswith("__range")]
    blind = replace(staged_evidence(guarded.contract, guarded.table, files), files={}, exact=False)
    with_statistics = guarded.audit_staged(files, checks)
    by_scan = guarded.audit_staged(files, checks, Reading(**vars(blind)))
    assert [replace(f, answered_by="scan") for f in with_statistics] == by_scan
    assert [(f.day, f.check.name, f.value) for f in by_scan] == [
        (day, check.name, _broken(check.name, [row for row in rows if row["at"].date() == day]))
        for day in DAYS
        for check in checks
    ]


class Reading(Evidence):
    """Evidence that proves nothing."""

    def proves(self, check: Any, day: dt.date) -> bool:
        return False


def _broken(name: str, rows: list[Row]) -> int:
    """How many rows break a rule, in plain Python; in SQL, NaN is greater than every number."""

    def given(column: str) -> list[Any]:
        return [row[column] for row in rows if row[column] is not None]

    return {
        "id__required": len(rows) - len(given("id")),
        "must__required": len(rows) - len(given("must")),
        "primary_key__unique": len(given("id")) - len(set(given("id"))),
        "price__range": sum(value < Decimal("0.5") for value in given("price")),
        "weight__range": sum(value > 99 for value in given("weight")),
        "ratio__range": sum(value <= 0 for value in given("ratio")),
        "share__range": sum(value >= 1 or math.isnan(value) for value in given("share")),
        "about_ten_a_day": len(rows),
    }[name]
