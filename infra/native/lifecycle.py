"""Up, down, status and logs of the native servers of one lake.

Every step may be repeated: a second `up` finds the service answering and does nothing; leftovers of a crash (a server
whose supervisor is gone, a stale socket, a half-formatted data folder) are cleared away or completed by the next one.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import filelock
import psutil

from infra.native.artifacts import fetch
from infra.native.services import NotReadyError, Service, native_services
from infra.native.supervision import Supervisor
from infra.ports import require_free
from orderlake.errors import InputError, ServiceError
from orderlake.folders import make_folder
from orderlake.progress import Task, task
from orderlake.settings import Settings

_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """How a service is: `running` (answers), `unhealthy` (a process, no answer) or `stopped`."""

    name: str
    title: str
    state: str
    address: str
    pid: int | None
    memory_mb: int | None
    detail: str


def select(settings: Settings, names: Sequence[str]) -> list[Service]:
    """Return the services of these names; all of the profile without any.

    Raises:
        InputError: there is no native service of that name.
    """
    services = native_services(settings)
    for name in names:
        if name not in services:
            external = settings.kafka.bootstrap_servers is not None
            raise InputError(
                f"{name!r} is not a native service of this lake.",
                allowed=services or "none: ORDERLAKE_KAFKA__BOOTSTRAP_SERVERS names your own broker",
                remedy="unset ORDERLAKE_KAFKA__BOOTSTRAP_SERVERS to run the native one." if external else (),
            )
    return [service for name, service in services.items() if not names or name in names]


@contextlib.contextmanager
def _exclusive(settings: Settings) -> Iterator[None]:
    """Let one command at a time change the servers of a lake."""
    folder = make_folder(make_folder(settings.home, "ORDERLAKE_HOME") / "run", "ORDERLAKE_HOME")
    with filelock.FileLock(folder / "services.lock"):
        yield


def up(settings: Settings, names: Sequence[str] = ()) -> list[tuple[Service, bool]]:
    """Start services and wait until each answers.

    Returns:
        every service with whether it had to be started.

    Raises:
        ServiceError: a service cannot be obtained or started, or its port is taken.
    """
    with _exclusive(settings):
        return [(service, _start(settings, service)) for service in select(settings, names)]


def _start(settings: Settings, service: Service) -> bool:
    supervisor = Supervisor(settings.home)
    info = supervisor.info(service.name)
    if info and info.pid and _answers(service):
        return False
    artifacts = {name: fetch(settings.cache_dir, name) for name in service.artifacts}
    if info is None:
        supervisor.shutdown()  # one that does not answer
        _end_leftover(service)
    else:
        supervisor.stop(service.name)
    for purpose, port in service.ports.items():
        require_free(port, f"{purpose} port of {service.title}", service.setting)
    with task(f"Starting {service.title}") as progress:
        service.prepare(artifacts)
        supervisor.ensure([service], {service.name: service.command(artifacts)})
        try:
            _wait(supervisor, service, progress)
        except BaseException:
            # What did not start is not tried again behind the user's back.
            _stop(settings, supervisor, [service])
            raise
    return True


def _wait(supervisor: Supervisor, service: Service, progress: Task) -> None:
    """Start a service and wait until it answers."""
    log_begins = service.log_file.stat().st_size if service.log_file.exists() else 0
    begun = time.monotonic()
    supervisor.start(service.name)
    while not _answers(service):
        info = supervisor.info(service.name)
        seconds = time.monotonic() - begun
        if info is None or info.has_ended or info.state == "STOPPED":
            reason = f"it ended after {seconds:.1f} s"
        elif seconds > service.start_seconds:
            reason = f"no answer within {service.start_seconds:.0f} s"
        else:
            progress.update(detail=info.state.lower())
            time.sleep(_POLL_SECONDS)
            continue
        said = log_tail(service.log_file, 15, log_begins) or (info.description if info else "")
        raise ServiceError(
            f"{service.title} did not become ready: {reason}. Its log ends:\n{said}",
            remedy=f"correct what the log says, then try again; the whole log: orderlake logs {service.name}",
        )


def down(settings: Settings, names: Sequence[str] = ()) -> list[tuple[Service, bool]]:
    """Stop services, and supervisord after the last one.

    Returns:
        every service with whether it was running.
    """
    with _exclusive(settings):
        return _stop(settings, Supervisor(settings.home), select(settings, names))


def _stop(settings: Settings, supervisor: Supervisor, services: Sequence[Service]) -> list[tuple[Service, bool]]:
    stopped = []
    for service in reversed(services):
        info = supervisor.info(service.name)
        running = bool(info and info.is_kept_alive)
        with task(f"Stopping {service.title}"):
            if info is not None:
                supervisor.stop(service.name)
            else:
                running = bool(_leftovers(service))
                supervisor.shutdown()  # one that does not answer
                _end_leftover(service)
        stopped.append((service, running))
    others = native_services(settings).keys() - {service.name for service in services}
    if not any((info := supervisor.info(name)) and info.is_kept_alive for name in others):
        supervisor.shutdown()
    return stopped


def status(settings: Settings) -> list[ServiceStatus]:
    """Return how every native service of the lake is."""
    supervisor = Supervisor(settings.home)
    found = []
    for service in native_services(settings).values():
        info = supervisor.info(service.name)
        pid = info.pid if info and info.pid else None
        detail, state = "", "stopped"
        if info is None and (leftovers := _leftovers(service)):
            pid, state, detail = leftovers[0].pid, "unhealthy", "its supervisor is gone; orderlake up starts it anew"
        elif pid is not None:
            try:
                detail, state = service.probe(), "running"
            except NotReadyError as error:
                detail, state = str(error), "unhealthy"
        elif info and info.state == "FATAL":
            detail = f"ended again and again; see orderlake logs {service.name}"
        elif info and info.has_ended:
            state, detail = "unhealthy", f"it ended and is started again; see orderlake logs {service.name}"
        found.append(ServiceStatus(service.name, service.title, state, service.address, pid, _memory_mb(pid), detail))
    return found


def log_tail(path: Path, lines: int, begin: int = 0) -> str:
    """Return the last lines of a log file, of those after a position in bytes; empty if there are none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        # A file that has become shorter was rotated.
        file.seek(begin if begin <= path.stat().st_size else 0)
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def _answers(service: Service) -> bool:
    try:
        service.probe()
    except NotReadyError:
        return False
    return True


def _leftovers(service: Service) -> list[psutil.Process]:
    """Return the processes of a service, whoever started them."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if service.marker in (process.info["cmdline"] or []) and process.pid != os.getpid()
    ]


def _end_leftover(service: Service) -> None:
    """End a server whose supervisor is gone (killed, or lost in a crash)."""
    leftovers = _leftovers(service)
    for process in leftovers:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(leftovers, timeout=service.stop_seconds)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=5)


def _memory_mb(pid: int | None) -> int | None:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).memory_info().rss // 2**20 if pid else None
    return None
