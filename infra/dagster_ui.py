"""Runs Dagster's webserver and daemon on the instance of a lake, until stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from infra.ports import require_free
from orderlake.errors import ServiceError
from orderlake.settings import Settings, builtin_root

_READY_SECONDS = 90
_STOP_SECONDS = 30


def run_ui(settings: Settings, dagster_home: Path, ready: Callable[[str], None]) -> None:
    """Start webserver and daemon, tell when the webserver answers, and wait until either ends or a signal comes.

    Args:
        settings: of the lake.
        dagster_home: folder of the Dagster instance.
        ready: is called with the address once the webserver answers.

    Raises:
        ServiceError: one of them ended by itself, or the webserver did not become ready.
    """
    address = f"http://127.0.0.1:{settings.ui.port}"
    environment = {**os.environ, "DAGSTER_HOME": str(dagster_home), "ORDERLAKE_HOME": str(settings.home)}
    workspace = str(builtin_root() / "workspace.yaml")
    commands = {
        "webserver": ["dagster-webserver", "-h", "127.0.0.1", "-p", str(settings.ui.port), "-w", workspace],
        "daemon": ["dagster-daemon", "run", "-w", workspace],
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
            program = Path(sys.executable).with_name(command[0])
            processes[name] = subprocess.Popen(
                [program, *command[1:]], env=environment, cwd=builtin_root(), start_new_session=True
            )
        told = False
        deadline = time.monotonic() + _READY_SECONDS
        while not stopped:
            for name, process in processes.items():
                if process.poll() is not None:
                    raise ServiceError(f"the Dagster {name} ended with status {process.returncode}; see above.")
            if not told and _answers(address):
                told = True
                ready(address)
            if not told and time.monotonic() > deadline:
                raise ServiceError(f"the Dagster webserver does not answer at {address} after {_READY_SECONDS} s.")
            time.sleep(0.2)
    finally:
        _stop(processes)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/server_info", timeout=2) as response:  # noqa: S310 - http on loopback
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


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
