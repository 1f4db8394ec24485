"""The text grammars of values inside JSON messages: date-times, dates and decimals.

Date-times follow RFC 3339 (the profile of ISO 8601 that always has seconds), with a capital T and Z; a fraction
may have up to nine digits, of which microseconds are kept. Decimals are plain: no exponent, no plus sign.
Each grammar stands here twice: as a pattern that a column is proven with (RE2, tier 1; narrower where that is
faster) and as an exact parser (tier 2).
"""

from __future__ import annotations

import datetime as dt
import decimal
import re

from orderlake.times import EPOCH

_MONTH_DAY = (
    r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
_ZONE = r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"

#: Proves date-times of 1970 to 2099; leaves 29 February and nanoseconds to the exact parser.
PROVE_ZONED = rf"^(?:19[7-9][0-9]|20[0-9][0-9])-{_MONTH_DAY}T{_CLOCK}{_ZONE}$"
PROVE_LOCAL = rf"^(?:19[7-9][0-9]|20[0-9][0-9])-{_MONTH_DAY}T{_CLOCK}$"
PROVE_DATE = rf"^(?:19[7-9][0-9]|20[0-9][0-9])-{_MONTH_DAY}$"

_DATETIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DECIMAL = re.compile(r"-?([0-9]+)(?:\.([0-9]+))?")
_MICROSECOND = dt.timedelta(microseconds=1)


def prove_decimal(precision: int, scale: int) -> str:
    """Return the RE2 pattern that proves a text to be a decimal(precision, scale)."""
    fraction = rf"(?:\.[0-9]{{1,{scale}}})?" if scale else ""
    whole = precision - scale
    return rf"^-?[0-9]{{1,{whole}}}{fraction}$" if whole else rf"^-?0{fraction}$"


def parse_datetime(text: str, *, zone_required: bool) -> int:
    """Return the microseconds since the epoch of a date-time; digits beyond microseconds are cut off.

    Args:
        text: the date-time.
        zone_required: refuse a text without zone instead of reading it as UTC.

    Raises:
        ValueError: the text is not a date-time; the message says in what.
    """
    match = _DATETIME.fullmatch(text)
    if not match:
        raise ValueError("is not a date-time like 2024-01-15T10:30:00.000Z")
    day, clock, fraction, zone = match.groups()
    if zone is None and zone_required:
        raise ValueError("has no zone; end it with Z or an offset like +01:00")
    moment = dt.datetime.fromisoformat(f"{day}T{clock}{zone or 'Z'}")
    return (moment - EPOCH) // _MICROSECOND + int(f"{fraction or '0':0<6}"[:6])


def parse_date(text: str) -> dt.date:
    """Return the date of a text `YYYY-MM-DD`.

    Raises:
        ValueError: the text is not a date.
    """
    if not _DATE.fullmatch(text):
        raise ValueError("is not a date like 2024-01-15")
    return dt.date.fromisoformat(text)


def parse_decimal(text: str) -> tuple[decimal.Decimal, int, int]:
    """Return (value, digits before the point without leading zeros, digits behind it) of a plain decimal.

    Raises:
        ValueError: the text is not a plain decimal number.
    """
    match = _DECIMAL.fullmatch(text)
    if not match:
        raise ValueError("is not a plain decimal number like 150.50")
    return decimal.Decimal(text), len(match[1].lstrip("0")), len(match[2] or "")
