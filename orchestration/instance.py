"""The Dagster instance of a lake: its folder, created from `infra/dagster/dagster.yaml` at first use."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg

from orderlake.settings import Settings, builtin_root


def prepare_instance(settings: Settings) -> Path:
    """Return the instance's folder; an instance file that is there already is left as the user has it.

    The storage of a new instance is created here, by one process: webserver and daemon, started together, would both
    create it and leave it broken (alembic's version table with two heads).
    """
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shutil.copyfile(builtin_root() / "infra" / "dagster" / "dagster.yaml", home / "dagster.yaml")
        with dg.DagsterInstance.from_config(str(home)):
            pass
    return home


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """Open the instance; a context manager."""
    return dg.DagsterInstance.from_config(str(prepare_instance(settings)))
