"""The Dagster UI as people see it: Chromium opens it on a filled lake, while the daemon's sensors tick."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from orderlake.errors import ChecksFailedError
from orderlake.settings import Settings
from tests.integration.conftest import MAIN, TOPIC_FILE, Process, free_port
from tests.integration.ui_lake import FilledLake

SENSORS = {"raw_days", "automation", "catch_up", "freshness", "run_failures", "failed_checks"}
BAD_CHECK = "order_amount__range"
#: Wide enough for four tables side by side.
WIDTH, HEIGHT, LOW, NAVIGATION = 1440, 900, 560, 240
_WAIT_MILLISECONDS = 30_000
_STATE = """{
  sensorsOrError(repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "orderlake"}) {
    ... on Sensors {results {name sensorState {ticks(limit: 50) {status error {message}}}}}
  }
  runsOrError {... on Runs {results {status jobName}}}
}"""


class Ui:
    """`orderlake ui` on a filled lake, and a tab of Chromium on it.

    Attributes:
        problems: what the browser complained about: errors of scripts, and requests that failed.
    """

    def __init__(
        self, filled: FilledLake, environment: dict[str, str], process: Process, address: str, page: Page
    ) -> None:
        self.filled, self.environment, self.process, self.address, self.page = (
            filled, environment, process, address, page,
        )  # fmt: skip
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
        page.on("console", lambda said: self.problems.append(said.text) if said.type == "error" else None)
        page.on("response", lambda got: self.problems.append(f"{got.status} {got.url}") if got.status >= 400 else None)

    def open(self, path: str, *shown: str) -> None:
        """Open a page and wait until each of the texts is visible."""
        self.page.goto(f"{self.address}/{path}")
        self.see(*shown)

    def see(self, *shown: str) -> None:
        for text in shown:
            expect(self.page.get_by_text(text, exact=True).first, text).to_be_visible()

    def orderlake(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command on the lake, in a process of its own: this thread's event loop is the browser's."""
        return subprocess.run([sys.executable, "-c", MAIN, *words], env=self.environment, check=False)

    def state(self) -> tuple[dict[str, list[dict[str, Any]]], list[dict[str, str]]]:
        """Return the ticks of every sensor, and the runs."""
        body = json.dumps({"query": _STATE}).encode()
        request = urllib.request.Request(f"{self.address}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            data = json.load(response)["data"]
        ticks = {found["name"]: found["sensorState"]["ticks"] for found in data["sensorsOrError"]["results"]}
        return ticks, data["runsOrError"]["results"]


def chromium() -> str:
    """Return the browser; without one skip.

    ORDERLAKE_REQUIRE_SERVERS does not change that: orderlake brings its servers along, a browser it does not.
    """
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("no Chromium: install it, e.g. apt-get install chromium")


@pytest.fixture
def ui(tmp_path: Path, edit_contract: Callable[..., Path]) -> Iterator[Ui]:
    program = chromium()
    lax = edit_contract(
        TOPIC_FILE, ("logicalTypeOptions: {exclusiveMinimum: 0}\n        required: true", "required: true")
    )
    filled = FilledLake(Settings(home=tmp_path / "lake"), lax / "contracts" / TOPIC_FILE)
    assert [outcome.problem for outcome in filled.materialize()] == [None], "one run for all days, and it passes"
    filled.land_a_negative_amount()
    (outcome,) = filled.materialize()
    assert [check.check for check in outcome.checks if not check.passed] == [BAD_CHECK]
    port = free_port()
    environment = {
        **os.environ,
        "ORDERLAKE_HOME": str(filled.settings.home),
        "ORDERLAKE_UI__PORT": str(port),
        "ORDERLAKE_AUTOMATION__TICK_SECONDS": "5",
        # Two weeks, so that four days can be seen on the bar of partitions.
        "ORDERLAKE_PARTITIONS_START": str(filled.days[0] - (filled.days[-1] - filled.days[0]) * 3),
    }
    out, err = tmp_path / "ui.out", tmp_path / "ui.err"
    with out.open("w") as out_file, err.open("w") as err_file:
        popen = subprocess.Popen(
            [sys.executable, "-c", MAIN, "ui"], cwd=tmp_path, env=environment, text=True,
            stdin=subprocess.DEVNULL, stdout=out_file, stderr=err_file,
        )  # fmt: skip
    process = Process(popen, out, err)
    try:
        wait_for(lambda: "Dagster UI: http" in out.read_text(), "the UI", 120)
        with sync_playwright() as playwright:
            # Chromium's sandbox refuses to run as root, which is who containers run tests as.
            arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
            browser = playwright.chromium.launch(executable_path=program, args=arguments)
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            page.set_default_timeout(_WAIT_MILLISECONDS)
            expect.set_options(timeout=_WAIT_MILLISECONDS)
            yield Ui(filled, environment, process, f"http://127.0.0.1:{port}", page)
            browser.close()
    finally:
        if popen.poll() is None:
            process.signal(signal.SIGINT)
            process.wait(90)


@pytest.fixture
def shoot(ui: Ui, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., None]:
    """Take a picture of the page without the navigation; into the folder that --screenshots names, if it does."""
    # Every test runs in a folder of its own; what is named on the command line is meant from where that was given.
    folder = request.config.invocation_params.dir / (request.config.getoption("--screenshots") or tmp_path)

    def take(name: str) -> None:
        height = (ui.page.viewport_size or {})["height"]
        clip = {"x": NAVIGATION, "y": 0, "width": WIDTH - NAVIGATION, "height": height}
        ui.page.mouse.move(NAVIGATION, height - 1)
        ui.page.screenshot(path=folder / f"{name}.png", clip=clip, animations="disabled")

    folder.mkdir(parents=True, exist_ok=True)
    return take


def wait_for(condition: Callable[[], bool], what: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.5)


@pytest.mark.timeout(600)
def test_the_ui_shows_graph_columns_lineage_and_a_failed_check_and_no_sensor_fails(
    ui: Ui, shoot: Callable[..., None], request: pytest.FixtureRequest
) -> None:
    bad_day, days = str(ui.filled.bad_day), [str(day) for day in ui.filled.days]
    if request.config.getoption("--screenshots"):
        wait_for(lambda: at_rest(ui, 3), "the daemon to have done what it found to do", 240)

    groups = ("kafka", "raw", "analytics", "marts")
    ui.open("asset-groups", *groups)
    ui.page.keyboard.press("Alt+KeyE")  # expands all groups
    ui.see("orders.created.v1", "orders_created_v1", "orders", "daily_orders")

    ui.page.set_viewport_size({"width": WIDTH, "height": LOW})
    ui.open("assets/analytics/orders?view=lineage&lineageScope=neighbors&lineageDepth=5", *groups)
    ui.see("orders.created.v1", "orders_created_v1", "orders", "daily_orders", "Kafka", "Iceberg", "DuckDB")
    expect(ui.page.get_by_text("filled").first).to_be_visible()
    expect(ui.page.get_by_text("Loading")).to_have_count(0)
    shoot("dagster-graph")
    ui.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})

    ui.open("assets/analytics/orders", "order-analytics", "layer: analytics", "analytics.orders", "refresh_on_update")
    ui.see("event_id", "decimal(10,2)", "> 0", "one of CREATED", "classification: confidential")
    ui.see("Identity of the event that created the order.", "The customer who ordered.")
    shoot("dagster-table")
    ui.page.get_by_text("column_origins", exact=True).scroll_into_view_if_needed()
    ui.see("raw.orders_created_v1.order_amount", "kafka:orders.created.v1 $.order_amount", "lander.clock")

    wait_for(lambda: at_rest(ui), "a tick of every sensor, and the end of all runs", 240)
    ui.open("assets/analytics/orders?view=partitions", *days)
    ui.see("Failed (1)")
    ui.page.get_by_text(days[0], exact=True).first.click()
    ui.see("dagster/partition_row_count")
    shoot("dagster-partitions")

    # Whatever the daemon has built in between: now the check's latest evaluation is of the bad day again.
    assert ui.orderlake("materialize", "analytics.orders").returncode == ChecksFailedError.exit_code
    ui.open(f"assets/analytics/orders?view=checks&checkDetail={BAD_CHECK}", "Failed", "order_amount is greater than 0.")
    ui.see(f"1 on {bad_day}, must be 0 expected", "answered_by", "failed_partitions", "samples", "must be 0")
    expect(ui.page.get_by_text("blocking", exact=True).first).to_be_visible()
    shoot("dagster-failed-check")
    ui.page.get_by_text("[Show JSON]").last.click()
    expect(ui.page.get_by_text(ui.filled.bad_id)).to_be_visible()

    ui.page.set_viewport_size({"width": WIDTH, "height": LOW})
    ui.open("automation", *SENSORS)
    ticks, _ = ui.state()
    failed = {name: tick["error"] for name, found in ticks.items() for tick in found if tick["status"] == "FAILURE"}
    assert not failed
    ui.see("Run status sensor")
    expect(ui.page.get_by_role("switch").or_(ui.page.locator("input[type=checkbox]:checked"))).to_have_count(
        len(SENSORS)
    )
    shoot("dagster-sensors")

    assert not ui.problems
    ui.process.signal(signal.SIGINT)
    assert ui.process.wait(90).code == 0


def at_rest(ui: Ui, ticks: int = 1) -> bool:
    """Whether every sensor has ticked (the quick ones at least so often), and no run is under way or waiting."""
    found, runs = ui.state()
    assert found.keys() == SENSORS
    over = {"SUCCESS", "FAILURE", "CANCELED"}
    ticked = all(
        sum(tick["status"] != "STARTED" for tick in found[name]) >= (1 if name == "catch_up" else ticks)
        for name in SENSORS
    )
    return ticked and len(runs) > 2 and all(run["status"] in over for run in runs)
