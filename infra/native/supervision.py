"""Keeps the processes of native servers: one supervisord per lake, spoken to over its own socket.

supervisord outlives the command that started it, restarts a server that dies, and keeps its log within bounds. It is
started with the first service and ends with the last one.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.native.services import Service
from orderlake.errors import ServiceError

_ALREADY_STARTED = 60
_NOT_RUNNING = 70
_BAD_NAME = 10


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """What supervisord knows of one service: its state (RUNNING, STOPPED, BACKOFF, FATAL, ...) and process."""

    state: str
    pid: int
    description: str


class Supervisor:
    """The supervisord of one lake.

    Args:
        home: the lake's folder.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self.folder = home / "run"
        self.config = self.folder / "supervisord.conf"
        # A unix socket's path has at most 107 bytes, and a lake may lie deep: so not below the lake.
        name = hashlib.sha256(str(home).encode()).hexdigest()[:16]
        self.socket = Path(tempfile.gettempdir()) / f"orderlake-{os.getuid()}" / f"{name}.sock"

    def _call(self, method: str, *arguments: object) -> Any:
        """Call one method of supervisord's XML-RPC interface."""
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        try:
            return getattr(xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor, method)(
                *arguments
            )
        finally:
            transport.close()

    def is_running(self) -> bool:
        """Return whether this lake's supervisord answers."""
        try:
            self._call("getState")
        except (OSError, xmlrpc.client.Error):
            return False
        return True

    def ensure(self, services: Sequence[Service], commands: Mapping[str, list[str]]) -> None:
        """Start supervisord with these services (none of them is started), or bring a running one up to date.

        Raises:
            ServiceError: supervisord does not come up.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.socket.parent.mkdir(mode=0o700, exist_ok=True)
        self.config.write_text(self._config_text(services, commands))
        if self.is_running():
            added, changed, removed = self._call("reloadConfig")[0]
            for name in (*changed, *removed):
                self.stop(name)
                self._call("removeProcessGroup", name)
            for name in (*added, *changed):
                self._call("addProcessGroup", name)
            return
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-c", str(self.config)],
            capture_output=True, text=True, check=False, timeout=60, cwd=self._home,
        )  # fmt: skip
        deadline = time.monotonic() + 15
        while not self.is_running():
            if done.returncode or time.monotonic() > deadline:
                raise ServiceError(
                    f"supervisord does not start: {(done.stdout + done.stderr).strip()[-400:]}",
                    remedy=f"look into {self.folder / 'supervisord.log'}.",
                )
            time.sleep(0.05)

    def start(self, name: str) -> None:
        """Start a service; one that runs is left alone. Whether it is ready is for a probe to say."""
        wait = False
        try:
            self._call("startProcess", name, wait)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != _ALREADY_STARTED:
                raise ServiceError(f"supervisord cannot start {name}: {fault.faultString}.") from fault

    def stop(self, name: str) -> None:
        """Stop a service and wait for its end: SIGTERM, after its grace period SIGKILL."""
        try:
            self._call("stopProcess", name)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode not in {_NOT_RUNNING, _BAD_NAME}:
                raise ServiceError(f"supervisord cannot stop {name}: {fault.faultString}.") from fault

    def info(self, name: str) -> ProcessInfo | None:
        """Return what is known of a service; None if supervisord does not run or does not know it."""
        try:
            info = self._call("getProcessInfo", name)
        except (OSError, xmlrpc.client.Error):
            return None
        return ProcessInfo(info["statename"], info["pid"], info["description"])

    def shutdown(self) -> None:
        """End supervisord and whatever it still runs."""
        try:
            pid = self._call("getPID")
            self._call("shutdown")
        except (OSError, xmlrpc.client.Error):
            return
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and _exists(pid):
            time.sleep(0.05)

    def _config_text(self, services: Sequence[Service], commands: Mapping[str, list[str]]) -> str:
        sections = [
            f"""[supervisord]
pidfile = run/supervisord.pid
logfile = run/supervisord.log
childlogdir = run
logfile_maxbytes = 1MB
silent = true

[unix_http_server]
file = {self.socket}
chmod = 0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""
        ]
        for service in services:
            service.log_file.parent.mkdir(parents=True, exist_ok=True)
            environment = ",".join(f'{name}="{value}"' for name, value in service.environment.items())
            command = shlex.join(commands[service.name])
            sections.append(
                f"""[program:{service.name}]
command = {command}
environment = {environment}
directory = {service.folder}
autostart = false
autorestart = true
startsecs = 1
startretries = 3
stopsignal = TERM
stopwaitsecs = {service.stop_seconds}
redirect_stderr = true
stdout_logfile = {service.log_file.relative_to(self._home)}
stdout_logfile_maxbytes = 10MB
stdout_logfile_backups = 2
"""
            )
        # In supervisord's files % begins an expansion; nothing here wants one. Log files are expanded twice, so they
        # are given relative to the lake, where supervisord runs.
        return "\n".join(sections).replace("%", "%%")


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
