"""The daemon as `orderlake ui` runs it, without its webserver, and how long landed events take to the mart with it.

When an event was published is read from the tables themselves: the first snapshot of the mart whose day was made from
a snapshot of analytics.orders that was made from raw rows with the event in them. Curated tables keep all snapshots.
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from history import History
from pyiceberg.table.snapshots import Snapshot

from assets.metadata import asset_key
from orchestration.instance import open_instance, prepare_instance
from orderlake.curation.window import Window, parse_window
from orderlake.lake.catalog import Lake
from orderlake.progress import task
from orderlake.settings import Settings, builtin_root

RAW, ORDERS, MART = "raw.orders_created_v1", "analytics.orders", "marts.daily_orders"
_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]  # fmt: skip


@dataclass(frozen=True)
class Landed:
    """One landed event: its day, when its commit had ended, and its place among the commits of the raw table."""

    day: dt.date
    at: float
    sequence: int


@dataclass(frozen=True)
class Published:
    """When an event was in the mart, and when the run that did it was asked for and began; seconds after landing."""

    landed: Landed
    requested: float
    begun: float
    seconds: float


@contextmanager
def daemon(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the daemon, which starts the code location's server itself, as long as the context lasts."""
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(prepare_instance(settings)),
        "ORDERLAKE_HOME": str(settings.home),
    }
    program = Path(sys.executable).with_name("dagster-daemon")
    command = [program, "run", "-w", str(builtin_root() / "workspace.yaml")]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env=environment, cwd=builtin_root(), stdout=out, stderr=out, start_new_session=True
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


class Observer:
    """Lands events and finds out when they were published."""

    def __init__(self, settings: Settings, history: History) -> None:
        self._settings = settings
        self._history = history
        self._lake = Lake.open(settings)
        self.landed: list[Landed] = []
        self._sequences: dict[int, int] = {}

    def land(self, day: dt.date) -> Landed:
        """Land one event of a day."""
        self._history.land(day)
        at = time.time()
        metadata = self._lake.load(RAW).metadata
        if metadata.current_snapshot_id is not None:
            self._sequences[metadata.current_snapshot_id] = metadata.last_sequence_number
        event = Landed(day, at, metadata.last_sequence_number)
        self.landed.append(event)
        return event

    def settle(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        """Wait until the daemon has seen the history and has published a first event, and nothing runs any more."""
        deadline = time.monotonic() + seconds
        with open_instance(self._settings) as instance, task("Starting the daemon"):
            while instance.get_latest_materialization_event(asset_key(RAW)) is None:
                _wait(process, deadline)
            # The first look tells of the whole history; the conditions take that as the beginning.
            time.sleep(2 * self._settings.automation.tick_seconds)
            self.land(dt.datetime.now(dt.UTC).date())
            while not all(self.published()) or instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED)):
                _wait(process, deadline)
        self.landed.clear()

    def finish(self, process: subprocess.Popen[bytes], seconds: float) -> list[Published]:
        """Wait until all events are published, but not for ever; return when each was that is."""
        deadline = time.monotonic() + seconds
        with task("Waiting for the last events"):
            while not all(found := self.published()) and time.monotonic() < deadline:
                _wait(process, deadline + 60)
        return [entry for entry in found if entry]

    def published(self) -> list[Published | None]:
        """Return when every event was published; None for those that are not yet."""
        with open_instance(self._settings) as instance:
            return [self._published(event, instance) for event in self.landed]

    def _published(self, event: Landed, instance: dg.DagsterInstance) -> Published | None:
        made = {
            snapshot.snapshot_id: snapshot.sequence_number or 0
            for snapshot in _publications(self._lake, ORDERS, event.day)
            if self._sequences.get(int(_summary(snapshot)[f"orderlake.input.{RAW}"]), 0) >= event.sequence
        }
        if not made:
            return None
        first = min(made.values())
        places = {s.snapshot_id: s.sequence_number or 0 for s in self._lake.load(ORDERS).snapshots()}
        for snapshot in _publications(self._lake, MART, event.day):
            if places[int(_summary(snapshot)[f"orderlake.input.{ORDERS}"])] >= first:
                run = instance.get_run_records(dg.RunsFilter(run_ids=[_summary(snapshot)["orderlake.run_id"]]))[0]
                requested, begun = run.create_timestamp.timestamp(), run.start_time or 0
                return Published(event, requested - event.at, begun - event.at, snapshot.timestamp_ms / 1e3 - event.at)
        return None


def _publications(lake: Lake, table: str, day: dt.date) -> list[Snapshot]:
    """Return the snapshots that published a day, oldest first."""
    snapshots = sorted(lake.load(table).snapshots(), key=lambda snapshot: snapshot.sequence_number or 0)
    return [snapshot for snapshot in snapshots if _covers(parse_window(_summary(snapshot)["orderlake.window"]), day)]


def _covers(window: Window, day: dt.date) -> bool:
    return window.first <= day <= window.last


def _summary(snapshot: Snapshot) -> dict[str, str]:
    return dict(snapshot.summary.additional_properties) if snapshot.summary else {}


def _wait(process: subprocess.Popen[bytes], deadline: float) -> None:
    if process.poll() is not None:
        raise SystemExit(f"the daemon ended with {process.returncode}")
    if time.monotonic() > deadline:
        raise SystemExit("the daemon did not publish what was landed in time")
    time.sleep(1)
