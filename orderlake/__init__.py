"""orderlake: an order and fulfilment lakehouse.

The library behind the command `orderlake`; from Python, `orderlake.connect()` reads a lake. No module here imports
Dagster: the lander, the SQL shell and every later service must start fast and run where Dagster is not installed.
Dagster code lives in the top-level packages `resources`, `assets` and `orchestration`. For the same reason, importing
this package loads nothing: what is heavy comes with its first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from orderlake import errors
from orderlake.errors import OrderlakeError

if TYPE_CHECKING:
    import os

    from orderlake.api.connection import Connection
    from orderlake.api.reading import QueryResult
    from orderlake.api.table_view import TableView

__version__ = "0.1.0"

__all__ = ["Connection", "OrderlakeError", "QueryResult", "TableView", "__version__", "connect", "errors"]

_HOMES = {
    "Connection": "orderlake.api.connection",
    "QueryResult": "orderlake.api.reading",
    "TableView": "orderlake.api.table_view",
}


def connect(home: str | os.PathLike[str] | None = None) -> Connection:
    """Open a lake for reading.

    Args:
        home: the lake's folder. Default: `ORDERLAKE_HOME`, in the environment or in `.env`, else `.orderlake`.

    Raises:
        InputError: there is no lake in that folder.
        SettingsError: a setting of the environment is unknown or has a value that is not allowed.
        CatalogError: the lake's catalog cannot be opened.
    """
    from orderlake.api.connection import connect as opened

    return opened(home)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
