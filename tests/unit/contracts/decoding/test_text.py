"""What a pattern proves, the exact parser must accept, and to the same value: tier 1 never proves a lie."""

from __future__ import annotations

import datetime as dt
import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderlake.contracts.decoding.text import (
    PROVE_DATE,
    PROVE_LOCAL,
    PROVE_ZONED,
    parse_date,
    parse_datetime,
    parse_decimal,
    prove_decimal,
)
from orderlake.times import EPOCH

DIGITS = st.text("0123456789", min_size=1, max_size=11)


def microseconds(moment: dt.datetime) -> int:
    return (moment - EPOCH) // dt.timedelta(microseconds=1)


@given(st.from_regex(re.compile(PROVE_ZONED[:-1] + r"\Z"), fullmatch=True))
def test_a_proven_date_time_parses_and_casts_to_the_same_moment(text: str) -> None:
    cast = pa.array([text]).cast(pa.timestamp("us", "UTC")).cast(pa.int64())[0].as_py()
    assert parse_datetime(text, zone_required=True) == cast


@given(st.from_regex(re.compile(PROVE_LOCAL[:-1] + r"\Z"), fullmatch=True))
def test_a_proven_local_date_time_is_meant_as_utc(text: str) -> None:
    cast = pa.array([text]).cast(pa.timestamp("us")).cast(pa.int64())[0].as_py()
    assert parse_datetime(text, zone_required=False) == cast


@given(st.from_regex(re.compile(PROVE_DATE[:-1] + r"\Z"), fullmatch=True))
def test_a_proven_date_parses_and_casts_to_the_same_day(text: str) -> None:
    assert parse_date(text) == pa.array([text]).cast(pa.date32())[0].as_py()


@given(st.sampled_from(["", "-"]), DIGITS, st.one_of(st.just(""), DIGITS.map(lambda d: f".{d}")))
def test_a_proven_decimal_parses_within_its_precision_and_scale(sign: str, whole: str, fraction: str) -> None:
    text = f"{sign}{whole}{fraction}"
    value, digits, places = parse_decimal(text)
    if re.search(prove_decimal(10, 2)[:-1] + r"\Z", text):
        assert digits <= 8
        assert places <= 2
        assert pa.array([text]).cast(pa.decimal128(10, 2))[0].as_py() == value


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-01-15T10:30:00.000Z", dt.datetime(2024, 1, 15, 10, 30, tzinfo=dt.UTC)),
        ("2024-01-15T10:30:00Z", dt.datetime(2024, 1, 15, 10, 30, tzinfo=dt.UTC)),
        ("2024-01-15T10:30:00.123456789Z", dt.datetime(2024, 1, 15, 10, 30, 0, 123456, dt.UTC)),
        ("2024-01-15T23:59:59.5-01:30", dt.datetime(2024, 1, 16, 1, 29, 59, 500000, dt.UTC)),
        ("2024-02-29T00:00:00Z", dt.datetime(2024, 2, 29, tzinfo=dt.UTC)),
        ("1815-12-10T00:00:00Z", dt.datetime(1815, 12, 10, tzinfo=dt.UTC)),
    ],
)
def test_date_times_keep_microseconds_and_lose_their_zone(text: str, moment: dt.datetime) -> None:
    assert parse_datetime(text, zone_required=True) == microseconds(moment)


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-15 10:30:00Z",  # Arrow would take it
        "2024-01-15T10:30Z",  # Arrow would take it
        "2024-01-15T10:30:00+0530",  # Arrow would take it
        "2024-01-15T10:30:00",
        "2024-01-15T24:00:00Z",
        "2024-01-15T10:30:60Z",
        "2023-02-29T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-01-15t10:30:00z",
        "2024-01-15T10:30:00.Z",
        "2024-01-15T10:30:00.1234567890Z",
        "٢٠٢٤-01-15T10:30:00Z",  # digits, but not ASCII
        "2024-01-15T10:30:00Z\n",
        "yesterday",
        "",
    ],
)
def test_what_is_not_a_date_time_of_rfc_3339_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - its text is the complaint, tested with the decoder
        parse_datetime(text, zone_required=True)


@pytest.mark.parametrize("text", ["1e3", "+5.00", "5.", ".50", "1,000.00", "NaN", "Infinity", " 5", "", "-", "٥"])
def test_what_is_not_a_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="plain decimal"):
        parse_decimal(text)
