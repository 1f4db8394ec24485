"""A topic is committed at the first of age, rows and bytes, and never for nothing."""

from __future__ import annotations

import pytest

from orderlake.errors import SettingsError
from orderlake.settings import Settings
from streaming.lander.flush import FlushPolicy, flush_policy

POLICY = FlushPolicy(age_seconds=1.0, max_rows=100, max_bytes=1_000)


@pytest.mark.parametrize(
    ("age", "rows", "size", "reason"),
    [
        (0.5, 10, 10, None),
        (1.0, 10, 10, "age"),
        (0.1, 100, 10, "rows"),
        (0.1, 10, 1_000, "bytes"),
        (99.0, 0, 0, None),
    ],
)
def test_the_first_limit_that_is_reached_decides(age: float, rows: int, size: int, reason: str | None) -> None:
    assert POLICY.reason(age, rows, size) == reason


def test_ages_have_names_or_are_seconds(settings: Settings) -> None:
    assert flush_policy(settings).age_seconds == flush_policy(settings, "fresh").age_seconds == 0.5
    assert flush_policy(settings, "cheap").age_seconds == 30
    assert flush_policy(settings, "2.5").age_seconds == 2.5


@pytest.mark.parametrize("text", ["soon", "0", "-1", "3601", "nan", ""])
def test_what_is_no_age_is_refused_with_what_is(settings: Settings, text: str) -> None:
    with pytest.raises(SettingsError, match=r"fresh \(0\.5 s\), cheap \(30 s\), or seconds"):
        flush_policy(settings, text or " ")
