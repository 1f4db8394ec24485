"""Measures curation over a long history: `python benchmarks/curation.py` (see --help).

Two lakes are filled with the same number of events a day, one with --days days (--events in all) and one with --small
days, so that only the history differs. Landing is not measured here but in `landing.py`: rows are made as Arrow
columns and go through the lander's sink and commit path without Kafka, a commit for each day (`history.py`).

1. Backfill: analytics.orders and marts.daily_orders over all days in one run on the lake's Dagster instance, as
   `orderlake materialize` does it. Rows and sums are compared with raw, and the snapshots of each table counted.
2. A late event for one old day, in process, warmed up, the two lakes by turns, medians of --repeat days: the tick that
   finds the day (`look`), then what the run does for it: both tables refreshed, that is the staleness of the day,
   build, audit, publication and ledger. The same again with counted reads (`reading.py`): bytes of data files (Parquet,
   the ledger's included) and of metadata (manifest lists, manifests, table metadata) that PyIceberg and DuckDB read.
3. A tick without news: what it opens and reads.
4. With the daemon on the larger lake, all settings at their defaults: events for old days and for today are landed by
   turns every --every seconds for --seconds; from the end of the landing commit to the mart's snapshot, p50 and p95.

Machines are noisy: ratios within one run are what counts.
"""

from __future__ import annotations

import argparse
import datetime as dt
import gc
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from automation import MART, ORDERS, RAW, Observer, daemon
from history import History
from reading import Reading, counted
from rich.console import Console
from rich.table import Table

from orchestration.instance import open_instance
from orchestration.materialize import Graph
from orderlake.contracts.registry import Registry
from orderlake.curation.changes import TableCursor, Throttle, look
from orderlake.curation.refresh import refresh
from orderlake.curation.window import Window
from orderlake.lake.catalog import Lake
from orderlake.lake.duck import DuckSession
from orderlake.lake.query import run
from orderlake.progress import shown, task
from orderlake.settings import Settings

Row = tuple[str, str]
#: Every day is reported at once: in process, no time passes between two late events.
_AT_ONCE = Throttle(0, 0)


@dataclass(frozen=True)
class Times:
    """Seconds of one late event: of the tick that found it, of both tables' refresh, and CPU of the latter."""

    tick: float
    refresh: float
    cpu: float


class Year:
    """A lake with so many days of history up to today."""

    def __init__(self, home: Path, days: int, per_day: int) -> None:
        self.settings = Settings(home=home)
        self.lake = Lake.open(self.settings)
        self.today = dt.datetime.now(dt.UTC).date()
        self.window = Window(self.today - dt.timedelta(days=days - 1), self.today)
        self.history = History(self.lake, Registry(self.settings.search_path).topic("orders.created.v1"))
        self.filled = self.history.fill(self.today, days, per_day)
        self._graph = Graph(self.settings, self.lake)
        self._cursor = TableCursor()

    def backfill(self) -> float:
        """Build all days in one run; return seconds."""
        started = time.perf_counter()
        with open_instance(self.settings) as instance:
            outcomes = self._graph.build(list(self._graph.models.values()), instance, self.window)
        if len(outcomes) != 1 or not outcomes[0].success:
            raise SystemExit(f"the backfill failed: {[outcome.problem for outcome in outcomes]}")
        return time.perf_counter() - started

    def snapshots(self) -> list[int]:
        """Return the number of snapshots of the built tables."""
        return [len(self.lake.load(name).snapshots()) for name in (ORDERS, MART)]

    def exact(self) -> bool:
        """Return whether the mart and the orders hold, day by day, what was landed."""
        expected = [(day, rows, self.history.cents[day]) for day, rows in sorted(self.history.rows.items())]
        statements = (
            f"select cast(event_time as date), count(*), cast(sum(order_amount) * 100 as hugeint) from {ORDERS}",
            f"select day, cast(sum(orders) as bigint), cast(sum(amount) * 100 as hugeint) from {MART}",
        )
        with DuckSession() as session:
            found = [run(session, self.lake, f"{statement} group by 1 order by 1")[1] for statement in statements]
        return found == [expected, expected]

    def tick(self) -> list[dt.date]:
        """Look for changed days as the sensor does, which opens the lake anew; return them."""
        table = Lake.open(self.settings).load(RAW)
        due, self._cursor = look(table, self._cursor, _AT_ONCE, time.time())
        return list(due)

    def late(self, day: dt.date) -> None:
        """Land a late event of a day; the sensor is to find just that day."""
        self.history.land(day)

    def refresh(self, day: dt.date) -> None:
        """Do what the run for a day does."""
        lake = Lake.open(self.settings)
        for model in self._graph.models.values():
            done = refresh(lake, model, Window(day, day), "benchmark")
            if done.rows != {day: done.rows.get(day)} or len(done.builds) != 1:
                raise SystemExit(f"WRONG: {day} of {model.name} was not built")

    def timed(self, day: dt.date) -> Times:
        """Measure one late event."""
        self.late(day)
        gc.collect()
        started = time.perf_counter()
        found = self.tick()
        ticked, cpu = time.perf_counter(), time.process_time()
        self.refresh(day)
        ended = time.perf_counter()
        if found != [day]:
            raise SystemExit(f"WRONG: a late event of {day} was landed, {found} found")
        return Times(ticked - started, ended - ticked, time.process_time() - cpu)

    def counted(self, day: dt.date) -> tuple[Reading, Reading]:
        """Count what one late event reads: the tick, and the rest."""
        self.late(day)
        with counted() as tick:
            self.tick()
        with counted() as rest:
            self.refresh(day)
        return tick, rest

    def old_days(self, count: int) -> list[dt.date]:
        """Return different days, spread over the history."""
        days = self.window.days[:-2]
        return [days[int(position)] for position in np.linspace(0, len(days) - 1, count)]


def late_events(big: Year, small: Year, repeat: int) -> list[Row]:
    """Measure late events on both lakes by turns."""
    days = [lake.old_days(repeat + 2) for lake in (big, small)]
    times: list[list[Times]] = [[], []]
    readings: list[tuple[Reading, Reading]] = []
    with task("Late events", total=repeat + 2) as progress:
        for number in range(repeat + 2):
            for position, lake in enumerate((big, small)):
                day = days[position][number]
                if number == 0:
                    lake.tick()
                    lake.timed(day)
                elif number == 1:
                    readings.append(lake.counted(day))
                else:
                    times[position].append(lake.timed(day))
            progress.advance()

    def row(name: str, attribute: str) -> Row:
        one, other = (statistics.median(getattr(taken, attribute) for taken in lake) for lake in times)
        return name, f"{one * 1000:,.0f} ms against {other * 1000:,.0f} ms: ratio {one / other:.2f}"

    (tick, rest), (small_tick, small_rest) = readings
    return [
        row("tick that finds a late event", "tick"),
        ("  reads", _read(tick, small_tick)),
        row("day rebuilt and published", "refresh"),
        row("  CPU of it", "cpu"),
        ("  reads", _read(rest, small_rest)),
        ("  data read by table", ", ".join(f"{name} {size / 1e3:,.0f} kB" for name, size in rest.by_table.items())),
    ]


def _read(one: Reading, other: Reading) -> str:
    parts = []
    for kind, label in (("data", "data"), ("manifests", "manifests"), ("metadata", "metadata")):
        ratio = f" (ratio {one.bytes[kind] / other.bytes[kind]:.2f})" if other.bytes[kind] else ""
        parts.append(f"{label} {one.bytes[kind] / 1e3:,.0f} kB{ratio}")
    whole = f"all read calls of the process {one.process / 1e3:,.0f} kB (ratio {one.process / other.process:.2f})"
    return ", ".join([*parts, whole])


def no_news(lake: Year, repeat: int) -> list[Row]:
    """Measure ticks without news."""
    lake.tick()
    taken = []
    for _ in range(max(repeat, 5)):
        started = time.perf_counter()
        lake.tick()
        taken.append(time.perf_counter() - started)
    with counted() as reading:
        found = lake.tick()
    opened = reading.opened
    verdict = "exact" if not found and not opened["data"] and not opened["manifests"] else "WRONG"
    what = f"{opened['data']} data files, {opened['manifests']} manifests, {opened['metadata']} metadata file"
    size = reading.bytes["metadata"] / 1e3
    milliseconds = statistics.median(taken) * 1000
    return [("tick without news", f"{milliseconds:.1f} ms; opens {what} of {size:.0f} kB: {verdict}")]


def with_daemon(lake: Year, seconds: int, every: float, log: Path) -> list[Row]:
    """Measure from landing to mart with the daemon."""
    observer = Observer(lake.settings, lake.history)
    count = int(seconds / every)
    old = iter(lake.old_days(count + 2)[1:])
    with daemon(lake.settings, log) as process:
        observer.settle(process, 300)
        started = time.monotonic()
        with task("Landing late events", total=count) as progress:
            for number in range(count):
                observer.land(next(old) if number % 2 else dt.datetime.now(dt.UTC).date())
                progress.advance()
                time.sleep(max(0.0, started + (number + 1) * every - time.monotonic()))
        found = observer.finish(process, 240)
    rows = [("events that never came", f"WRONG: {count - len(found)}")] if len(found) < count else []
    for name, chosen in (
        ("landed to mart, all", found),
        ("  late events", [entry for entry in found if entry.landed.day != lake.today]),
        ("  events of today", [entry for entry in found if entry.landed.day == lake.today]),
    ):
        p50, p95 = np.percentile([entry.seconds for entry in chosen], [50, 95])
        asked, begun = (np.median([getattr(entry, step) for entry in chosen]) for step in ("requested", "begun"))
        steps = f"p50 until the run was asked for {asked:.0f} s, until it began {begun:.0f} s"
        rows.append((name, f"p50 {p50:.0f} s, p95 {p95:.0f} s over {len(chosen)} events; {steps}"))
    return rows


def measure(options: argparse.Namespace, folder: Path) -> list[Row]:
    """Run what is asked for; return the rows to print."""
    per_day = options.events // options.days
    small = Year(folder / "small", options.small, per_day)
    big = Year(folder / "big", options.days, per_day)
    rows = [("history", f"{options.days} days against {options.small}, {per_day:,} events a day")]
    took = {lake: lake.backfill() for lake in (small, big)}
    count = big.history.rows.total()
    rows.append(("landed without Kafka", f"{count:,} rows in {big.filled:.1f} s, {options.days} commits"))
    rate = f"{took[big]:.1f} s for {options.days} days of both tables, {count / took[big]:,.0f} rows/s"
    rows.append(("backfill in one run", f"{rate}; {options.small} days {took[small]:.1f} s"))
    once = all(lake.snapshots() == [1, 1] for lake in (big, small))
    rows.append(("snapshots of the backfill", "one for each table: exact" if once else f"WRONG: {big.snapshots()}"))
    if options.repeat:
        rows += late_events(big, small, options.repeat)
    rows += no_news(big, options.repeat)
    if options.seconds and options.daemon:
        rows += with_daemon(big, options.seconds, options.every, folder / "daemon.log")
    rows.append(("rows and sums", _verdict([big, small])))
    return rows


def _verdict(lakes: Sequence[Year]) -> str:
    return "exact" if all(lake.exact() for lake in lakes) else "WRONG"


def main() -> None:
    """Run what is asked for and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=365, help="days of the larger lake (%(default)s)")
    parser.add_argument("--events", type=int, default=2_000_000, help="events in the larger lake (%(default)s)")
    parser.add_argument("--small", type=int, default=30, help="days of the smaller lake (%(default)s)")
    parser.add_argument("--repeat", type=int, default=9, help="late events that are timed; 0 skips them (%(default)s)")
    parser.add_argument("--no-daemon", dest="daemon", action="store_false", help="leave out what needs the daemon")
    parser.add_argument("--seconds", type=int, default=180, help="how long events land with the daemon (%(default)s)")
    parser.add_argument("--every", type=float, default=10, help="seconds between those events (%(default)s)")
    options = parser.parse_args()
    title = f"curation, Python {platform.python_version()}, {os.cpu_count()} cores"
    table = Table(title=title, show_header=False)
    with tempfile.TemporaryDirectory(prefix="orderlake-bench-") as name, shown():
        for row in measure(options, Path(name)):
            table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
