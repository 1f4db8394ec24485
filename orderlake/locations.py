"""Locations of local files as Iceberg metadata keeps them, and back.

A location is `file://` and the path as it is, nothing escaped: PyIceberg and DuckDB take what follows the scheme for
the path, and neither unescapes. So a percent-encoded location would name another folder than the one meant.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

_SCHEME = "file://"


def location_of(path: Path) -> str:
    """Return the location of a local file or folder, given by its absolute path."""
    location = f"{_SCHEME}{path}"
    # PyIceberg reads a location with a scheme as a URL, whose path "#" or "?" would end; one without it, as a path.
    return location if urlsplit(location).path == str(path) else str(path)


def local_path(location: str) -> str:
    """Return the path of a local location."""
    return location.removeprefix(_SCHEME)
