"""Logging for every orderlake process: one line a record, for people or for machines.

Modules log with `logging.getLogger(__name__)` and hand facts over as `extra={"fields": {...}}`; how they look is
decided here alone. Progress bars and results of commands are not logging.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
from typing import Literal

LogFormat = Literal["console", "json"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

#: Libraries whose INFO is noise in a pipeline's log; their warnings still count.
_QUIET = ("alembic", "faker", "httpx", "jgo", "pyiceberg", "sqlalchemy", "urllib3")


def _fields(record: logging.LogRecord) -> dict[str, object]:
    fields = getattr(record, "fields", {})
    return fields if isinstance(fields, dict) else {}


def _timestamp(record: logging.LogRecord) -> str:
    moment = dt.datetime.fromtimestamp(record.created, tz=dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class ConsoleFormatter(logging.Formatter):
    """`2026-01-31T10:00:00.000Z INFO streaming.lander landed topic=orders.created.v1 rows=10`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one readable line, with its traceback below where there is one."""
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        line = f"{_timestamp(record)} {record.levelname} {record.name} {record.getMessage()}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, then the record's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a JSON object on one line."""
        entry: dict[str, object] = {
            "time": _timestamp(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def configure_logging(level: LogLevel = "INFO", style: LogFormat = "console") -> None:
    """Send all logging of this process to stderr in the given style.

    Args:
        level: the lowest level that is shown.
        style: `console` for people, `json` for log collectors.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else ConsoleFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))
