"""Makes sure that a port on this machine is free, or says who has it."""

from __future__ import annotations

import contextlib
import socket

import psutil

from orderlake.errors import ServiceError


def require_free(port: int, purpose: str, setting: str) -> None:
    """Refuse a port of 127.0.0.1 that something listens on.

    Args:
        port: the port.
        purpose: what it is for, e.g. "broker port of Apache Kafka".
        setting: the setting that moves it.

    Raises:
        ServiceError: the port is taken.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ServiceError(
                f"port {port}, the {purpose}, is taken by {_holder(port)}.",
                remedy=f"stop that process, or set {setting} to a free port.",
            ) from error


def _holder(port: int) -> str:
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
                process = psutil.Process(connection.pid) if connection.pid else None
                return f"process {process.pid} ({process.name()})" if process else "another process"
    return "another process"
