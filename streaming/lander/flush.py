"""When a topic is committed: at the first of age, rows and bytes. Decided here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from orderlake.errors import SettingsError
from orderlake.settings import Settings

#: Named ages in seconds. Fresh: what dashboards see is under a second old. Cheap: few and large files.
AGES = {"fresh": 0.5, "cheap": 30.0}
_LONGEST = 3_600.0


@dataclass(frozen=True, slots=True)
class FlushPolicy:
    """Limits of what may be pending of one topic."""

    age_seconds: float
    max_rows: int
    max_bytes: int

    def reason(self, age: float, rows: int, size: int) -> str | None:
        """Return why to commit now ("age", "rows", "bytes"), or None; nothing pending is never committed.

        Args:
            age: seconds since the first pending message was consumed.
            rows: pending messages.
            size: their bytes.
        """
        if not rows:
            return None
        if rows >= self.max_rows:
            return "rows"
        if size >= self.max_bytes:
            return "bytes"
        return "age" if age >= self.age_seconds else None


def flush_policy(settings: Settings, age: str | None = None) -> FlushPolicy:
    """Return the policy of the settings, with another age if one is given.

    Raises:
        SettingsError: the age is neither a name nor seconds within (0, 3600].
    """
    text = age or settings.land.flush
    try:
        seconds = AGES[text] if text in AGES else float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST:
        raise SettingsError(
            f"flush {text!r} is no age of a commit.",
            allowed=f"{', '.join(f'{name} ({value:g} s)' for name, value in AGES.items())}, or seconds up to 3600",
            remedy="correct --flush or ORDERLAKE_LAND__FLUSH.",
        )
    return FlushPolicy(seconds, settings.land.max_rows, settings.land.max_bytes)
