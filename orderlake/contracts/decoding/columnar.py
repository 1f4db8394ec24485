"""Tier 1: proves whole columns good at once, by RE2 patterns and Arrow casts that cannot fail.

A `Prover` takes one column of a batch as msgspec decoded it (texts, numbers, None) and returns the typed column
and which of its rows are proven. Rows that are not proven hold a placeholder and go to tier 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from orderlake.contracts.arrow import arrow_type
from orderlake.contracts.checks import UUID_PATTERN
from orderlake.contracts.decoding.rules import INTEGER_RANGE, JSON_TYPES, exact_number
from orderlake.contracts.decoding.text import PROVE_DATE, PROVE_LOCAL, PROVE_ZONED, prove_decimal
from orderlake.contracts.model import Column, Constraints
from orderlake.contracts.types import Decimal, Scalar

Mask = npt.NDArray[np.bool_]
#: Takes the values of a column, returns (typed column, proven rows); None where all rows are proven.
Prover = Callable[[Sequence[Any]], tuple[pa.Array, Mask | None]]

#: decimal128 is two 64-bit words; up to this precision the low word is the whole unscaled value.
_ONE_WORD = 18


def json_type(column: Column) -> Any:
    """Return the type msgspec decodes a column as: it checks JSON type, enum, length and numeric bounds itself."""
    limits = column.constraints
    kind: Any
    if isinstance(column.type, Decimal):
        kind = msgspec.Raw if column.wire == "number" else str
    elif limits.enum is not None:
        kind = Literal[limits.enum]
    else:
        name = column.type.name if isinstance(column.type, Scalar) else "string"
        kind, _ = JSON_TYPES.get(name, (str, ""))
        meta: dict[str, Any] = {}
        if kind is str:
            meta = {"min_length": limits.min_length, "max_length": limits.max_length}
        elif kind is not bool:
            meta = _numeric_bounds(name, limits)
        meta = {key: value for key, value in meta.items() if value is not None}
        kind = Annotated[kind, msgspec.Meta(**meta)] if meta else kind
    return kind if column.required else kind | None


def _numeric_bounds(name: str, limits: Constraints) -> dict[str, Any]:
    """Return msgspec's bounds of a number: the contract's, and for an integer never wider than its type."""
    meta: dict[str, Any] = {"multiple_of": limits.multiple_of}
    if name in INTEGER_RANGE:
        low, high = INTEGER_RANGE[name]
        above = None if limits.exclusive_minimum is None else math.floor(limits.exclusive_minimum) + 1
        below = None if limits.exclusive_maximum is None else math.ceil(limits.exclusive_maximum) - 1
        at_least = None if limits.minimum is None else math.ceil(limits.minimum)
        at_most = None if limits.maximum is None else math.floor(limits.maximum)
        meta["ge"] = max(value for value in (low, at_least, above) if value is not None)
        meta["le"] = min(value for value in (high, at_most, below) if value is not None)
    else:
        # lint lets a contract give one bound a side.
        meta["ge"] = limits.minimum
        meta["le"] = limits.maximum
        meta["gt"] = limits.exclusive_minimum if limits.minimum is None else None
        meta["lt"] = limits.exclusive_maximum if limits.maximum is None else None
    return meta


def compile_prover(column: Column) -> Prover:
    """Return the prover of a column."""
    match column.type:
        case Decimal():
            return _prove_decimal(column)
        case Scalar("timestamptz"):
            return _prove_timestamp(column)
        case Scalar("date"):
            return _prove_cast(PROVE_DATE, pa.date32(), "1970-01-01")
    if column.constraints.enum is None and (column.constraints.pattern or column.constraints.format):
        return _prove_patterns(column)
    target = arrow_type(column.type)
    return lambda values: (pa.array(values, target), None)


def _as_mask(matches: pa.Array) -> Mask | None:
    """Return the proven rows; null (an optional field that is absent) is proven."""
    if matches.null_count:
        matches = matches.fill_null(True)  # noqa: FBT003 - Arrow's own signature
    return None if pc.all(matches, min_count=0).as_py() else matches.to_numpy(zero_copy_only=False)


def _match(options: pc.MatchSubstringOptions, texts: pa.Array) -> pa.Array:
    return pc.call_function("match_substring_regex", [texts], options)


def _prove_patterns(column: Column) -> Prover:
    patterns = [pattern for pattern in (column.constraints.pattern,) if pattern]
    if column.constraints.format == "uuid":
        patterns.append(UUID_PATTERN)
    options = [pc.MatchSubstringOptions(pattern) for pattern in patterns]

    def prove(values: Sequence[Any]) -> tuple[pa.Array, Mask | None]:
        texts = pa.array(values, pa.string())
        matches = _match(options[0], texts)
        for option in options[1:]:
            matches = pc.and_(matches, _match(option, texts))
        return texts, _as_mask(matches)

    return prove


def _prove_cast(pattern: str, target: pa.DataType, placeholder: str) -> Prover:
    """Prove texts by a pattern, then cast: the pattern is so narrow that the cast cannot fail."""
    options = pc.MatchSubstringOptions(pattern)

    def prove(values: Sequence[Any]) -> tuple[pa.Array, Mask | None]:
        texts = pa.array(values, pa.string())
        matches = _match(options, texts)
        mask = _as_mask(matches)
        if mask is not None:
            texts = pc.if_else(matches, texts, placeholder)
        return texts.cast(target), mask

    return prove


def _prove_timestamp(column: Column) -> Prover:
    if column.timezone:
        return _prove_cast(PROVE_ZONED, pa.timestamp("us", "UTC"), "1970-01-01T00:00:00Z")
    local = _prove_cast(PROVE_LOCAL, pa.timestamp("us"), "1970-01-01T00:00:00")

    def prove(values: Sequence[Any]) -> tuple[pa.Array, Mask | None]:
        moments, mask = local(values)
        return moments.cast(pa.timestamp("us", "UTC")), mask

    return prove


def _prove_decimal(column: Column) -> Prover:
    kind = column.type
    assert isinstance(kind, Decimal)  # noqa: S101 - narrowed by the caller's match
    cast = _prove_cast(prove_decimal(kind.precision, kind.scale), pa.decimal128(kind.precision, kind.scale), "0")
    limits = column.constraints
    bounds = [
        (exact_number(value, column), name)
        for value, name in (
            (limits.minimum, "greater_equal"),
            (limits.exclusive_minimum, "greater"),
            (limits.maximum, "less_equal"),
            (limits.exclusive_maximum, "less"),
        )
        if value is not None
    ]
    unscaled = [(int(limit.scaleb(kind.scale)), name) for limit, name in bounds]
    # A limit with more places than the column, e.g. > 0.001 for decimal(10,2), cannot be compared unscaled.
    narrow = kind.precision <= _ONE_WORD and all(
        limit.scaleb(kind.scale) == whole for (limit, _), (whole, _) in zip(bounds, unscaled, strict=True)
    )

    def prove(values: Sequence[Any]) -> tuple[pa.Array, Mask | None]:
        if column.wire == "number":
            values = [None if raw is None else bytes(raw).decode() for raw in values]
        numbers, mask = cast(values)
        for (limit, name), (whole, _) in zip(bounds, unscaled, strict=True):
            if narrow and not numbers.null_count:
                words = np.frombuffer(numbers.buffers()[1], np.int64)[::2]
                within = getattr(np, name)(words[numbers.offset : numbers.offset + len(numbers)], whole)
                proven = None if within.all() else within
            else:
                proven = _as_mask(pc.call_function(name, [numbers, pa.scalar(limit)]))
            mask = proven if mask is None else mask if proven is None else mask & proven
        return numbers, mask

    return prove


def to_array(column: Column, values: Sequence[Any]) -> pa.Array:
    """Return tier 2's values of a column as Arrow; timestamps come as microseconds since the epoch."""
    target = arrow_type(column.type)
    if pa.types.is_timestamp(target):
        return pa.array(values, pa.int64()).cast(target)
    return pa.array(values, target)
