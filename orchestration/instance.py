"""The Dagster instance of a lake: its folder, created from `infra/dagster/dagster.yaml` at first use."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import dagster as dg
from sqlalchemy import make_url

from orderlake.folders import make_folder, outside
from orderlake.settings import Settings, builtin_root


def prepare_instance(settings: Settings) -> Path:
    """Return the instance's folder; an instance file that is there already is left as the user has it."""
    home = make_folder(settings.dagster_home, "ORDERLAKE_HOME")
    if not (home / "dagster.yaml").exists():
        shutil.copyfile(builtin_root() / "infra" / "dagster" / "dagster.yaml", home / "dagster.yaml")
    return _addressable(home)


def _addressable(folder: Path) -> Path:
    """Return a path of the folder that Dagster can use: it makes an address of it, in which "%41" is another name."""
    if make_url(f"sqlite:///{folder}").database == str(folder):
        return folder
    link = outside(folder, ".dagster")
    link.parent.mkdir(mode=0o700, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        link.symlink_to(folder)
    return link


def initialize_instance(settings: Settings) -> Path:
    """Return the instance's folder with its databases made: processes that start together would disturb each other."""
    with open_instance(settings) as instance:
        instance.get_runs_count()
    return prepare_instance(settings)


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """Open the instance; a context manager."""
    return dg.DagsterInstance.from_config(str(prepare_instance(settings)))
