"""Runs Dagster's webserver and daemon on the instance of a lake, until stopped.

Both get the settings of this process and end with it. They are ready when the webserver has loaded orderlake's
definitions: before, it answers, but shows nothing.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.ports import require_free
from orderlake.errors import OrderlakeError, ServiceError
from orderlake.settings import Settings, builtin_root

_READY_SECONDS = 90
_STOP_SECONDS = 30

_LOADED = """{ workspaceOrError {
  ... on PythonError { message }
  ... on Workspace { locationEntries { loadStatus locationOrLoadError {
    ... on PythonError { message causes { message } } } } } } }"""


def run_ui(settings: Settings, dagster_home: Path, ready: Callable[[str], None]) -> None:
    """Start webserver and daemon, tell when the definitions are loaded, and wait until either ends or a signal comes.

    Args:
        settings: of the lake.
        dagster_home: folder of the Dagster instance.
        ready: is called with the address once the definitions are loaded.

    Raises:
        ServiceError: one of them ended by itself, or the webserver did not become ready.
        OrderlakeError: the definitions cannot be loaded.
    """
    address = f"http://127.0.0.1:{settings.ui.port}"
    environment = {**settings.environment(), "DAGSTER_HOME": str(dagster_home)}
    workspace = str(builtin_root() / "workspace.yaml")
    commands = {
        "webserver": ["dagster_webserver", "-h", "127.0.0.1", "-p", str(settings.ui.port), "-w", workspace],
        "daemon": ["dagster._daemon", "run", "-w", workspace],
    }
    require_free(settings.ui.port, "port of the Dagster webserver", "ORDERLAKE_UI__PORT")
    processes: dict[str, subprocess.Popen[bytes]] = {}
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        for name, command in commands.items():
            # Not in the user's folder: Dagster, too, reads an .env where it works.
            processes[name] = subprocess.Popen(
                [sys.executable, "-m", "infra.tethered", *command],
                env=environment, cwd=dagster_home, start_new_session=True, stdin=subprocess.PIPE,
            )  # fmt: skip
        told = False
        deadline = time.monotonic() + _READY_SECONDS
        while not stopped:
            for name, process in processes.items():
                if process.poll() is not None:
                    raise ServiceError(f"the Dagster {name} ended with status {process.returncode}; see above.")
            if not told and _has_loaded(address):
                told = True
                ready(address)
            if not told and time.monotonic() > deadline:
                raise ServiceError(f"the Dagster webserver is not ready at {address} after {_READY_SECONDS} s.")
            time.sleep(0.2)
    finally:
        _stop(processes)


def _has_loaded(address: str) -> bool:
    """Return whether the webserver answers and has loaded the definitions.

    Raises:
        OrderlakeError: it has tried, and cannot.
    """
    request = urllib.request.Request(  # noqa: S310 - http on loopback
        f"{address}/graphql", json.dumps({"query": _LOADED}).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - http on loopback
            workspace = json.load(response)["data"]["workspaceOrError"]
    except (urllib.error.URLError, OSError, ValueError):
        return False
    entries = workspace.get("locationEntries", [])
    for outcome in (workspace, *(entry["locationOrLoadError"] or {} for entry in entries)):
        if "message" in outcome:
            raise OrderlakeError(
                f"Dagster cannot load the definitions: {_reason(outcome)}",
                remedy="correct that, then start the UI again; `orderlake doctor` looks at contracts and models.",
            )
    return bool(entries) and all(entry["loadStatus"] == "LOADED" for entry in entries)


def _reason(error: dict[str, Any]) -> str:
    """Return the message of what was raised first, without the name of its class."""
    messages = [error["message"], *(cause["message"] for cause in error.get("causes") or ())]
    return str(messages[-1]).strip().removeprefix("orderlake.errors.").rstrip(".") + "."


def _stop(processes: dict[str, subprocess.Popen[bytes]]) -> None:
    for process in processes.values():
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    for process in processes.values():
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
