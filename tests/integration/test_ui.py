"""The Dagster UI: it has the settings of who started it, says when it is ready, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.conftest import Bench, Process, free_port


@pytest.fixture
def by_env_file(bench: Bench) -> Iterator[dict[str, str]]:
    """Settings in the working folder's .env, with relative folders; the variables that take them out of the environment."""
    bench.settings = bench.settings.model_copy(update={"home": bench.folder / "per%41cent"})
    (bench.folder / ".env").write_text(
        f"ORDERLAKE_HOME=per%41cent\nORDERLAKE_PATHS={bench.paths[0].relative_to(bench.folder)}\n"
        f"ORDERLAKE_UI__PORT={free_port()}\nORDERLAKE_ALERTS__WEBHOOK_URL=http://127.0.0.1:9/hush\nHELLO=1\n"
    )
    yield {"ORDERLAKE_HOME": "", "ORDERLAKE_PATHS": ""}
    for process in servers(bench):
        process.kill()


def servers(bench: Bench) -> list[psutil.Process]:
    """Return Dagster's processes on a test's lake: they work in the folder of its instance."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cwd() == str(bench.settings.dagster_home) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def ready(bench: Bench, ui: Process) -> str:
    bench.wait_for(lambda: "Dagster UI:" in ui.out.read_text() or ui.popen.poll() is not None, "the UI", 100)
    assert ui.popen.poll() is None, ui.err.read_text()[-3000:]
    return ui.out.read_text().split("Dagster UI: ")[1].split()[0]


def test_it_shows_the_lake_of_who_started_it(bench: Bench, by_env_file: dict[str, str]) -> None:
    ui = bench.start("ui", **by_env_file)
    address = ready(bench, ui)
    query = json.dumps({"query": "{ assetNodes { assetKey { path } } }"}).encode()
    request = urllib.request.Request(f"{address}/graphql", query, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        keys = {".".join(node["assetKey"]["path"]) for node in json.load(response)["data"]["assetNodes"]}
    assert f"kafka.{bench.topic}" in keys, "the contract from a relative ORDERLAKE_PATHS in .env"
    assert (bench.folder / "per%41cent" / "dagster" / "history").is_dir()
    assert not (bench.folder / "perAcent").exists()
    ui.signal(signal.SIGINT)
    assert ui.wait(60).code == 0
    assert "hush" not in ui.out.read_text() + ui.err.read_text(), "secrets are handed on, not shown"
    bench.wait_for(lambda: not servers(bench), "the end of webserver and daemon", 30)


def test_killed_it_takes_its_servers_along(bench: Bench, by_env_file: dict[str, str]) -> None:
    ui = bench.start("ui", **by_env_file)
    ready(bench, ui)
    assert len(servers(bench)) >= 2
    ui.kill()
    bench.wait_for(lambda: not servers(bench), "the end of webserver and daemon", 60)


def test_definitions_that_cannot_be_loaded(bench: Bench) -> None:
    contract: Path = next(bench.paths[0].rglob("*.yaml"))
    contract.write_text(contract.read_text().replace("maxLength: 64", "maxLenght: 64"))
    result = bench.run("ui", ORDERLAKE_UI__PORT=str(free_port()))
    assert result.code == 1
    assert "Dagster UI:" not in result.out
    said = result.err.split("error: ")[-1]
    assert said.startswith("Dagster cannot load the definitions: ContractError: the contract")
    assert "did you mean 'maxLength'?" in said
    assert "Traceback" not in said
    bench.wait_for(lambda: not servers(bench), "the end of webserver and daemon", 30)
