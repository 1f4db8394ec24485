"""Compiles one column into the steps that take the JSON text of a field to its value, or say how it is broken."""

from __future__ import annotations

import decimal
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import re2

from orderlake.contracts.checks import UUID_PATTERN
from orderlake.contracts.decoding.text import parse_date, parse_datetime, parse_decimal
from orderlake.contracts.model import Column
from orderlake.contracts.types import Decimal, Scalar

#: Takes a value, returns what the next step works on, raises Broken.
Step = Callable[[Any], Any]

INTEGER_RANGE = {"int": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}
JSON_TYPES: dict[str, tuple[type, str]] = {
    "boolean": (bool, "true or false"),
    "int": (int, "an integer"),
    "long": (int, "an integer"),
    "float": (float, "a number"),
    "double": (float, "a number"),
}


class Broken(Exception):  # noqa: N818 - control flow between steps, never seen outside
    """A value breaks a rule."""

    def __init__(self, code: str, complaint: str) -> None:
        super().__init__(complaint)
        self.code = code
        self.complaint = complaint


def compile_steps(column: Column) -> tuple[Step, ...]:
    """Return the steps of a column: JSON type, text grammar, then every constraint in the order of the contract."""
    return tuple(_steps(column))


def _steps(column: Column) -> Iterator[Step]:
    match column.type:
        case Decimal(precision, scale):
            yield _number_text if column.wire == "number" else _json_step(str, "a string")
            yield _decimal_step(precision, scale)
        case Scalar("timestamptz"):
            yield _json_step(str, "a string")
            yield _datetime_step(zone_required=column.timezone)
        case Scalar("date"):
            yield _json_step(str, "a string")
            yield _date
        case Scalar(name):
            yield _json_step(*JSON_TYPES.get(name, (str, "a string")))
            if name in INTEGER_RANGE:
                yield _within(*INTEGER_RANGE[name])
    yield from _constraint_steps(column)


def _constraint_steps(column: Column) -> Iterator[Step]:
    limits = column.constraints
    if limits.enum is not None:
        yield _one_of(limits.enum)
    if limits.min_length is not None:
        yield _at_least_characters(limits.min_length)
    if limits.max_length is not None:
        yield _at_most_characters(limits.max_length)
    if limits.format == "uuid":
        yield _matching(UUID_PATTERN, "invalid_uuid", "is not a UUID")
    if limits.pattern is not None:
        yield _matching(limits.pattern, "pattern", f"does not match {limits.pattern}")
    for limit, broken, code, words in (
        (limits.minimum, "__lt__", "below_minimum", "is less than"),
        (limits.exclusive_minimum, "__le__", "below_minimum", "is not greater than"),
        (limits.maximum, "__gt__", "above_maximum", "is greater than"),
        (limits.exclusive_maximum, "__ge__", "above_maximum", "is not less than"),
    ):
        if limit is not None:
            yield _bound(exact_number(limit, column), broken, code, f"{words} {limit}")
    if limits.multiple_of is not None:
        yield _multiple(int(limits.multiple_of))


def exact_number(value: float, column: Column) -> Any:
    """Return a limit in the type of the column's values, so that 0.1 is 0.1 for a decimal."""
    return decimal.Decimal(str(value)) if isinstance(column.type, Decimal) else value


def _json_step(kind: type, expected: str) -> Step:
    decode: Callable[[bytes], Any] = msgspec.json.Decoder(kind).decode

    def step(raw: bytes) -> Any:
        try:
            return decode(raw)
        except msgspec.MsgspecError as error:
            raise Broken("wrong_type", f"is not {expected}") from error

    return step


def _number_text(raw: bytes) -> str:
    text = raw.decode()
    if text[:1] not in "-0123456789":
        raise Broken("wrong_type", "is not a number")
    return text


def _decimal_step(precision: int, scale: int) -> Step:
    def step(text: str) -> decimal.Decimal:
        try:
            value, whole, places = parse_decimal(text)
        except ValueError as error:
            raise Broken("invalid_decimal", str(error)) from error
        if places > scale:
            raise Broken("too_many_decimals", f"has {places} decimal places; at most {scale} are allowed")
        if whole > precision - scale:
            raise Broken("out_of_range", f"does not fit decimal({precision},{scale})")
        return value

    return step


def _datetime_step(*, zone_required: bool) -> Step:
    def step(text: str) -> int:
        try:
            return parse_datetime(text, zone_required=zone_required)
        except (ValueError, OverflowError) as error:
            raise Broken("invalid_timestamp", str(error)) from error

    return step


def _date(text: str) -> Any:
    try:
        return parse_date(text)
    except ValueError as error:
        raise Broken("invalid_date", str(error)) from error


def _within(low: int, high: int) -> Step:
    def step(value: int) -> int:
        if not low <= value <= high:
            raise Broken("out_of_range", f"is not within {low} and {high}")
        return value

    return step


def _one_of(allowed: tuple[str | int, ...]) -> Step:
    choices = ", ".join(map(str, allowed))

    def step(value: Any) -> Any:
        if value not in allowed:
            raise Broken("not_in_enum", f"is none of {choices}")
        return value

    return step


def _at_least_characters(least: int) -> Step:
    def step(value: str) -> str:
        if len(value) < least:
            text = f"has {len(value)} characters; at least {least} are required"
            raise Broken(*(("too_short", text) if value else ("empty", "is empty")))
        return value

    return step


def _at_most_characters(most: int) -> Step:
    def step(value: str) -> str:
        if len(value) > most:
            raise Broken("too_long", f"has {len(value)} characters; at most {most} are allowed")
        return value

    return step


def _matching(pattern: str, code: str, complaint: str) -> Step:
    """Search with RE2: the one engine that Arrow (tier 1), DuckDB and ClickHouse (checks) share."""
    search = re2.compile(pattern).search

    def step(value: str) -> str:
        if not search(value):
            raise Broken(code, complaint)
        return value

    return step


def _bound(limit: Any, broken: str, code: str, complaint: str) -> Step:
    def step(value: Any) -> Any:
        if getattr(value, broken)(limit) is True:
            raise Broken(code, complaint)
        return value

    return step


def _multiple(of: int) -> Step:
    def step(value: int) -> int:
        if value % of:
            raise Broken("not_a_multiple", f"is not a multiple of {of}")
        return value

    return step
