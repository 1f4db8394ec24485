"""The table of native servers: for every service what it needs, how it starts and when it is ready.

A service is data; nothing here starts anything. To add a server, write a module like `kafka.py` that returns its
`Service` and name it in `native_services`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orderlake.settings import Settings


@dataclass(frozen=True, slots=True)
class Service:
    """One native server of one lake.

    Attributes:
        name: short name, used on the command line and for folders.
        title: what it is, with its version.
        artifacts: lock files (`infra/native/artifacts`) whose jars it needs.
        ports: TCP ports on 127.0.0.1 by purpose; the first one is where clients connect.
        folder: its own configuration and data.
        marker: a word of its command line that no other process has; by it a process is found again whose
            supervisor is gone.
        log_file: where its output goes.
        command: what runs, given the folders of its artifacts.
        prepare: brings configuration and data folder into shape before a start; may be repeated.
        probe: makes one real request; returns what answered, raises NotReadyError otherwise.
        setting: the setting that moves its first port.
        environment: variables it is started with.
        start_seconds: how long it may take to be ready.
        stop_seconds: how long it may take to stop after SIGTERM before it is killed.
    """

    name: str
    title: str
    artifacts: tuple[str, ...]
    ports: Mapping[str, int]
    folder: Path
    marker: str
    log_file: Path
    command: Callable[[Mapping[str, Path]], list[str]]
    prepare: Callable[[Mapping[str, Path]], None]
    probe: Callable[[], str]
    setting: str
    environment: Mapping[str, str] = field(default_factory=dict)
    start_seconds: float = 60
    stop_seconds: int = 30

    @property
    def address(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{next(iter(self.ports.values()))}"


class NotReadyError(Exception):
    """A service does not answer (yet)."""


def native_services(settings: Settings) -> dict[str, Service]:
    """Return the servers that the profile runs natively, in the order in which they start."""
    from infra.native.kafka import kafka_service

    if settings.kafka.bootstrap_servers is not None:
        return {}
    return {service.name: service for service in (kafka_service(settings),)}
