"""The native broker: started once, found again, cleared away after a crash; lakes side by side do not disturb each other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from infra.native.artifacts import artifact_folder, damaged, fetch, read_lock
from infra.native.lifecycle import down, log_tail, status, up
from infra.native.supervision import Supervisor
from orderlake.errors import ServiceError
from orderlake.settings import KafkaSettings, Settings
from streaming.kafka import cluster_id
from tests.integration.conftest import free_port


@pytest.fixture
def own(tmp_path: Path, broker: Settings) -> Iterator[Settings]:
    """A second lake with a broker of its own; deep in the file system, as a socket's path may not be."""
    home = tmp_path / ("deep" * 20) / "lake with a blank and 100%"
    settings = Settings(home=home, kafka=KafkaSettings(port=free_port(), controller_port=free_port()))
    yield settings
    down(settings)


def of_lake(settings: Settings) -> list[list[str]]:
    """Return the command lines of the processes that a lake has."""
    commands = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    return [words for words in commands if any(word.startswith(f"{settings.home}/") for word in words)]


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_up_and_down_and_up_again_keep_the_data(own: Settings, broker: Settings) -> None:
    assert [fresh for _, fresh in up(own)] == [True]
    cluster = cluster_id(own)
    assert cluster != cluster_id(broker), "two lakes, two clusters"
    assert [fresh for _, fresh in up(own)] == [False], "a second up is a no-op"
    (found,) = status(own)
    assert (found.state, found.address) == ("running", f"127.0.0.1:{own.kafka.port}")
    assert [was for _, was in down(own)] == [True]
    assert [was for _, was in down(own)] == [False]
    assert status(own)[0].state == "stopped"
    assert not Supervisor(own.home).is_running(), "nothing of ours is left running"
    up(own)
    assert cluster_id(own) == cluster
    assert "KafkaRaftServer" in log_tail(own.home / "logs" / "kafka.log", 1_000)


def test_the_broker_outlives_the_command_that_started_it(own: Settings) -> None:
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("ORDERLAKE_")},
        "ORDERLAKE_HOME": str(own.home), "ORDERLAKE_KAFKA__PORT": str(own.kafka.port),
        "ORDERLAKE_KAFKA__CONTROLLER_PORT": str(own.controller_port),
    }  # fmt: skip
    command = [sys.executable, "-c", "from orderlake.cli.main import main; main()", "up"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert f"started at 127.0.0.1:{own.kafka.port}" in done.stdout
    assert cluster_id(own)


def test_a_broker_that_dies_is_restarted_by_its_supervisor(own: Settings) -> None:
    up(own)
    pid = status(own)[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while (found := status(own)[0]).state != "running" or found.pid == pid:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_what_a_crash_left_behind_is_cleared_away(own: Settings) -> None:
    """The supervisor is killed, its broker goes on alone: the next up ends that one and starts anew, the data stays."""
    up(own)
    cluster = cluster_id(own)
    orphan = status(own)[0].pid
    assert orphan is not None
    os.kill(int((own.home / "run" / "supervisord.pid").read_text()), signal.SIGKILL)
    time.sleep(0.5)
    assert psutil.pid_exists(orphan)
    (found,) = status(own)
    assert (found.state, found.pid) == ("unhealthy", orphan)
    assert [fresh for _, fresh in up(own)] == [True]
    assert not psutil.pid_exists(orphan)
    assert cluster_id(own) == cluster


def test_down_ends_a_broker_whose_supervisor_is_gone(own: Settings) -> None:
    up(own)
    orphan = status(own)[0].pid
    assert orphan is not None
    os.kill(int((own.home / "run" / "supervisord.pid").read_text()), signal.SIGKILL)
    assert [was for _, was in down(own)] == [True]
    assert not psutil.pid_exists(orphan)


def test_a_half_formatted_data_folder_is_completed(own: Settings) -> None:
    data = own.home / "services" / "kafka" / "data"
    data.mkdir(parents=True)
    (data / "bootstrap.checkpoint.tmp").write_bytes(b"half")
    up(own)
    assert cluster_id(own)


def test_a_broker_that_cannot_start_says_why(own: Settings) -> None:
    data = own.home / "services" / "kafka" / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").write_text("version=1\nnode.id=99\ncluster.id=x\n")
    with pytest.raises(ServiceError, match=r"(?s)did not become ready: it ended after .*99.*orderlake logs kafka"):
        up(own)


def test_a_broker_that_cannot_start_is_not_tried_again_and_again(own: Settings) -> None:
    """A heap too small ends the JVM at once: up says so in time, and nothing goes on behind its back."""
    small = own.model_copy(update={"kafka": own.kafka.model_copy(update={"heap": "1m"})})
    begun = time.monotonic()
    with pytest.raises(ServiceError, match=r"(?is)did not become ready: it ended after .*heap.*orderlake logs kafka"):
        up(small)
    assert time.monotonic() - begun < 30
    assert status(small)[0].state == "stopped"
    assert not Supervisor(own.home).is_running()
    assert of_lake(own) == []
    assert [fresh for _, fresh in up(own)] == [True], "once mended, it starts"


def test_a_broker_that_dies_again_and_again_is_given_up(own: Settings) -> None:
    """It ran, then its configuration was spoilt: restarts are bounded, and down ends what is left."""
    up(own)
    (own.home / "services" / "kafka" / "server.properties").write_text("process.roles=nonsense\n")
    pid = status(own)[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: "ended" in status(own)[0].detail)
    wait_until(lambda: "again and again" in status(own)[0].detail)
    assert status(own)[0].state == "stopped"
    down(own)
    assert of_lake(own) == []


def test_down_ends_a_broker_between_two_starts(own: Settings) -> None:
    up(own)
    (own.home / "services" / "kafka" / "server.properties").write_text("process.roles=nonsense\n")
    os.kill(status(own)[0].pid or 0, signal.SIGKILL)
    wait_until(lambda: "started again" in status(own)[0].detail)
    assert [was for _, was in down(own)] == [True]
    time.sleep(2)
    assert of_lake(own) == []


def test_down_ends_a_supervisor_whose_socket_is_gone(own: Settings) -> None:
    """Sockets lie in the folder for temporary files, which is cleared now and then."""
    up(own)
    Supervisor(own.home).socket.unlink()
    assert [was for _, was in down(own)] == [True]
    assert of_lake(own) == []


@pytest.mark.parametrize("name", ["com,ma", "üñï", "ha #sh ;x", "it's %41 [x]", "co:lon", "back\\slash", 'q"?*'])
def test_the_lake_of_a_broker_may_have_any_name(tmp_path: Path, broker: Settings, name: str) -> None:
    lakes = tmp_path / "lakes"
    settings = Settings(home=lakes / name, kafka=KafkaSettings(port=free_port(), controller_port=free_port()))
    try:
        up(settings)
        assert cluster_id(settings)
        assert status(settings)[0].state == "running"
        assert (settings.home / "services" / "kafka" / "data" / "meta.properties").is_file()
        assert "KafkaRaftServer" in log_tail(settings.home / "logs" / "kafka.log", 1_000)
        os.kill(int((settings.home / "run" / "supervisord.pid").read_text()), signal.SIGKILL)
        wait_until(lambda: status(settings)[0].state == "unhealthy")
    finally:
        down(settings)
    assert of_lake(settings) == []
    assert [path.name for path in lakes.iterdir()] == [name], "nothing lies beside the lake"


def test_another_port_moves_the_broker(own: Settings) -> None:
    up(own)
    cluster = cluster_id(own)
    moved = own.model_copy(update={"kafka": KafkaSettings(port=free_port(), controller_port=free_port())})
    up(moved)
    assert cluster_id(moved) == cluster


def test_every_jar_is_the_one_in_the_lock_file(broker: Settings) -> None:
    folder = artifact_folder(broker.cache_dir, "kafka")
    assert damaged(folder, "kafka") == []
    names = {jar.name: jar.version for jar in read_lock("kafka")}
    assert names["kafka_2.13"] == names["kafka-clients"] == "4.3.1"
    assert len(names) == 46


def test_a_tampered_jar_is_noticed_and_a_wrong_download_refused(
    broker: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    import infra.native.artifacts as module

    source = artifact_folder(broker.cache_dir, "kafka")
    copy = tmp_path / "copy"
    shutil.copytree(source, copy)
    jar = read_lock("kafka")[0]
    (copy / jar.file_name).write_bytes(b"not a jar")
    assert damaged(copy, "kafka") == [jar.file_name]

    def download(repository: Path):
        def get(wanted) -> Path:
            target = repository / wanted.file_name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(b"something else")
            return target

        return get

    monkeypatch.setattr(module, "_downloader", download)
    with pytest.raises(ServiceError, match="is not the file that orderlake was tested with"):
        fetch(tmp_path / "cache", "kafka")
    assert not artifact_folder(tmp_path / "cache", "kafka").exists(), "nothing half-finished is visible"


def test_doctor_finds_nothing_wrong_with_a_healthy_lake(bench) -> None:
    found = {entry["subject"]: entry for entry in json.loads(bench.ok("doctor", "--json").out)}
    assert {entry["state"] for entry in found.values()} == {"ok"}
    assert {"Python", "lake", "contracts", "models", "catalog", "DuckDB", "Kafka"} <= set(found)


def test_doctor_ends_with_1_if_something_is_wrong(bench) -> None:
    bench.settings.home.write_text("a file")
    result = bench.run("doctor", "--json")
    assert result.code == 1
    assert {entry["subject"] for entry in result.json if entry["state"] == "error"} == {"lake", "catalog"}
