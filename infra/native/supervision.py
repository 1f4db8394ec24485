"""Keeps the processes of native servers: one supervisord per lake, spoken to over its own socket.

supervisord outlives the command that started it, restarts a server that dies, and keeps its log within bounds. A
server that dies again and again soon after its start is given up. supervisord is started with the first service and
ends with the last one.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from infra.native.services import Service
from orderlake.errors import ServiceError
from orderlake.folders import outside

#: A server that dies sooner after its start counts as not started; after so many in a row it is given up.
_SETTLED_SECONDS = 30
_STARTS = 3

_STOP_SECONDS = 60
_ALREADY_STARTED = 60
_NOT_RUNNING = 70
_BAD_NAME = 10


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """What supervisord knows of one service: its state (RUNNING, STOPPED, BACKOFF, FATAL, ...) and process."""

    state: str
    pid: int
    description: str

    @property
    def has_ended(self) -> bool:
        """Whether it ended by itself, for good or until supervisord starts it again."""
        return self.state in {"BACKOFF", "EXITED", "FATAL"}

    @property
    def is_kept_alive(self) -> bool:
        """Whether it runs or is about to."""
        return self.state not in {"STOPPED", "FATAL"}


class Supervisor:
    """The supervisord of one lake.

    Args:
        home: the lake's folder.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self.folder = home / "run"
        self.config = self.folder / "supervisord.conf"
        # A unix socket's path has at most 107 bytes, and a lake may lie deep.
        self.socket = outside(home, ".sock")

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
        self.config.write_text(self._config_text(services, commands), encoding="utf-8")
        if self.is_running():
            added, changed, removed = self._call("reloadConfig")[0]
            for name in (*changed, *removed):
                self.stop(name)
                self._call("removeProcessGroup", name)
            for name in (*added, *changed):
                self._call("addProcessGroup", name)
            return
        done = subprocess.run(
            [sys.executable, "-X", "utf8", "-W", "ignore", "-m", "supervisor.supervisord", "-c", str(self.config)],
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
        """End supervisord and whatever it still runs, even where its socket is gone."""
        process = self._process()
        if process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
        psutil.wait_procs([process], timeout=_STOP_SECONDS)

    def _process(self) -> psutil.Process | None:
        with contextlib.suppress(OSError, xmlrpc.client.Error):
            return psutil.Process(self._call("getPID"))
        with contextlib.suppress(OSError, ValueError, psutil.Error):
            process = psutil.Process(int((self.folder / "supervisord.pid").read_text()))
            # After a crash the number in the file may be another process's.
            if str(self.config) in process.cmdline():
                return process
        return None

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
            sections.append(
                f"""[program:{service.name}]
command = {_command(commands[service.name])}
environment = {environment}
directory = {service.folder.relative_to(self._home)}
autostart = false
autorestart = true
startsecs = {_SETTLED_SECONDS}
startretries = {_STARTS}
stopsignal = TERM
stopwaitsecs = {service.stop_seconds}
redirect_stderr = true
stdout_logfile = {service.log_file.relative_to(self._home)}
stdout_logfile_maxbytes = 10MB
stdout_logfile_backups = 2
"""
            )
        # In supervisord's files % begins an expansion; nothing here wants one. Log files are expanded twice, and no
        # name of a folder can be quoted: so they are given relative to the lake, where supervisord runs.
        return "\n".join(sections).replace("%", "%%")


def _command(words: Sequence[str]) -> str:
    """Return a command line that survives supervisord's files, where a blank before ";" or "#" begins a comment."""
    return re.sub(r"(?<=\s)(?=[;#])", "''", shlex.join(words))
