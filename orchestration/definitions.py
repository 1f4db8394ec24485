"""The code location: what webserver, daemon and `dg` load."""

from __future__ import annotations

import dagster as dg

from orchestration.build import build_defs


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of this process's lake."""
    return build_defs()
