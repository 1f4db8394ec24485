"""The guard is tested by planting: for every kind of rule a bad row among good ones is found by the right check, with
its day, its number and its samples, and by no other check except those that the row breaks too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from pyiceberg.types import StringType

from orderlake.curation.audit import Finding
from tests.inprocess.curation.conftest import DAYS, Guarded, Row, good_row, good_rows

DAY = DAYS[1]
_FIRST = 100  # The id of the first row of that day.


@dataclass(frozen=True)
class Mutation:
    """What is planted on one day, and what must be found there.

    Attributes:
        plant: changes the ten rows of the day.
        entailed: what else the planted rows break, by the contract's own words.
    """

    check: str
    plant: Callable[[list[Row]], None]
    value: float
    samples: Sequence[str] = ()
    entailed: dict[str, tuple[float, tuple[str, ...]]] = field(default_factory=dict)


def put(column: str, *values: Any) -> Callable[[list[Row]], None]:
    """Put values into a column, from the fourth row on."""

    def plant(rows: list[Row]) -> None:
        for row, value in zip(rows[3:], values, strict=False):
            row[column] = value

    return plant


def drop_one(rows: list[Row]) -> None:
    del rows[3]


def add_three(rows: list[Row]) -> None:
    rows.extend(good_row(DAY, number) for number in (10, 11, 12))


def copy_one(rows: list[Row]) -> None:
    rows.append(dict(rows[3]))


def all_in_one_box(rows: list[Row]) -> None:
    for row in rows:
        row["box"] = "B-0"


MUTATIONS = {
    "required": Mutation("must__required", put("must", None, None), 2, ["103", "104"]),
    "required, of the key": Mutation("id__required", put("id", None), 1, ["null"]),
    "enum of texts": Mutation("status__enum", put("status", "new"), 1, ["103"]),
    "enum of numbers": Mutation("level__enum", put("level", 3, 0), 2, ["103", "104"]),
    "pattern": Mutation("code__pattern", put("code", "ABCD", "abc", ""), 3, ["103", "104", "105"]),
    "format uuid": Mutation("ref__format", put("ref", "00000000-0000-4000-8000-00000000010x"), 1, ["103"]),
    "minLength": Mutation("name__length", put("name", "é", ""), 2, ["103", "104"]),
    "maxLength": Mutation("label__length", put("label", "éééééé"), 1, ["103"]),
    "minimum": Mutation("price__range", put("price", Decimal("0.49")), 1, ["103"]),
    "maximum": Mutation("weight__range", put("weight", 100), 1, ["103"]),
    "exclusiveMinimum": Mutation("ratio__range", put("ratio", 0.0, -1.0), 2, ["103", "104"]),
    "exclusiveMaximum": Mutation("share__range", put("share", 1.0), 1, ["103"]),
    "maximum, not a number": Mutation("share__range", put("share", float("nan")), 1, ["103"]),
    "multipleOf": Mutation("steps__multiple_of", put("steps", 7, -1), 2, ["103", "104"]),
    "unique": Mutation("serial__unique", put("serial", "S-100", "S-100", "S-101"), 3, ["S-100", "S-101"]),
    "primary key": Mutation("primary_key__unique", put("id", _FIRST, _FIRST), 2, ["100"]),
    "nullValues": Mutation("email_is_given", put("email", None), 1, ["103"]),
    "missingValues": Mutation("phone_is_given", put("phone", None, "", "n/a"), 3, ["103", "104", "105"]),
    "invalidValues, listed": Mutation("country_is_known", put("country", "XX", ""), 2, ["103", "104"]),
    "invalidValues, pattern": Mutation("zip_is_valid", put("zip", "1234", "0123x"), 2, ["103", "104"]),
    "duplicateValues": Mutation("one_place_in_a_box", put("place", 1, 0, 3, 0), 3, ["B-0, 0", "B-1, 1"]),
    "rowCount, too few": Mutation("about_ten_a_day", drop_one, 9),
    "rowCount, too many": Mutation("about_ten_a_day", add_three, 13),
    "sql": Mutation("low_is_below_high", put("low", 1, 2), 2),
    "percent of rows": Mutation("notes_are_common", put("note", None), 2, ["100", "103"]),
    "percent of duplicates": Mutation("boxes_differ", all_in_one_box, 9, ["B-0"]),
    # Entailed: a row that is there twice repeats every key it has.
    "a whole row twice": Mutation(
        "primary_key__unique", copy_one, 1, ["103"],
        {"serial__unique": (1, ("S-103",)), "one_place_in_a_box": (1, ("B-1, 3",))},
    ),
}  # fmt: skip


def planted(mutation: Mutation) -> list[Row]:
    rows = good_rows()
    day = [row for row in rows if row["at"].date() == DAY]
    mutation.plant(day)
    return [row for row in rows if row["at"].date() != DAY] + day


def failures(findings: Sequence[Finding]) -> dict[Any, tuple[float, tuple[str, ...]]]:
    return {(f.day, f.check.name): (f.value, tuple(f.samples)) for f in findings if not f.passed}


def expected(mutation: Mutation) -> dict[Any, tuple[float, tuple[str, ...]]]:
    found = {mutation.check: (mutation.value, tuple(mutation.samples)), **mutation.entailed}
    return {(DAY, name): answer for name, answer in found.items()}


@pytest.mark.parametrize("mutation", MUTATIONS.values(), ids=MUTATIONS.keys())
def test_what_is_planted_is_found_by_its_check_alone(guarded: Guarded, mutation: Mutation) -> None:
    rows = planted(mutation)
    staged = guarded.audit_staged(guarded.write(rows))
    assert failures(staged) == expected(mutation), "before it is published"
    assert {(f.day, f.check.name) for f in staged} == {(d, c.name) for d in DAYS for c in guarded.checks}
    guarded.publish(rows)
    assert failures(guarded.audit_published()) == expected(mutation), "where it is published already"


def test_good_rows_break_nothing_and_every_check_has_its_mutation(guarded: Guarded) -> None:
    assert failures(guarded.audit_staged(guarded.write(good_rows()))) == {}
    elsewhere = {
        "schema__matches_contract",  # below
        "at__required",  # a row without a day cannot be staged: test_build
    }
    assert {check.name for check in guarded.checks} == {m.check for m in MUTATIONS.values()} | elsewhere


def test_nulls_are_nothing_that_could_be_invalid_or_repeated(guarded: Guarded) -> None:
    needed = {"id", "at", "must", "email", "phone"}
    rows = [{name: value if name in needed else None for name, value in row.items()} for row in good_rows()]
    found = failures(guarded.audit_staged(guarded.write(rows)))
    assert {name for _, name in found} == {"notes_are_common"}, "which asks for values in a fifth of the rows"


def test_a_column_that_only_the_table_has_fails_the_check_of_the_schema(guarded: Guarded) -> None:
    guarded.publish(good_rows())
    with guarded.table.update_schema() as update:
        update.add_column("extra", StringType())
    told = ("extra is in the table but no longer in the contract",)
    found = failures(guarded.audit_published())
    assert found == {(day, "schema__matches_contract"): (1, told) for day in DAYS}


def test_a_column_that_the_rows_lack_breaks_what_it_must_keep_and_not_the_audit(guarded: Guarded) -> None:
    guarded.publish(good_rows())
    with guarded.table.update_schema() as update:
        update.delete_column("must")
        update.delete_column("code")
    guarded.publish([{k: v for k, v in row.items() if k not in {"must", "code"}} for row in good_rows()])
    found = failures(guarded.audit_published())
    assert {(name, answer[0]) for (_, name), answer in found.items()} == {
        ("schema__matches_contract", 2),
        ("must__required", 10),  # Entailed: a missing column reads as null.
    }
    assert found[DAY, "must__required"][1] == ("100", "101", "102", "103", "104"), "the smallest keys, five at most"


def test_a_column_of_another_type_fails_the_check_of_the_schema_and_what_cannot_be_read_so(guarded: Guarded) -> None:
    with guarded.table.update_schema() as update:
        update.delete_column("weight")
        update.delete_column("must")
    with guarded.table.update_schema() as update:
        update.add_column("weight", StringType())
        update.add_column("must", StringType())
    rows = planted(Mutation("", put("weight", "100", "heavy"), 0))
    guarded.publish([{**row, "weight": str(row["weight"])} for row in rows])
    found = failures(guarded.audit_published())
    assert {(name, answer) for (_, name), answer in found.items()} == {
        ("schema__matches_contract", (1, ("weight changes from string to long",))),
        ("weight__range", (1, ("103",))),  # "heavy" reads as null, which is no weight above the maximum.
    }
