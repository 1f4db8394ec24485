"""SIGKILL at every step of a build: readers see the old day or the new one, never a mixture, and the next run completes it."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest

from orderlake.curation.models import Model
from orderlake.curation.refresh import refresh
from orderlake.curation.staleness import plan
from orderlake.curation.window import Window
from orderlake.lake.catalog import Lake
from orderlake.settings import Settings, builtin_root
from tests.inprocess.conftest import DAY, RawOrders, order

ORDERS, MART = "analytics.orders", "marts.daily_orders"
ONE = Window(DAY, DAY)

#: Builds both tables in a process of its own, which kills itself behind a step, at its first or second call.
PROCESS = """
    import datetime as dt, importlib, os, signal, sys
    from pathlib import Path

    home, module, name, call, day = sys.argv[1:]
    owner = importlib.import_module(module)
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    real, calls = getattr(owner, last), []

    def deadly(*args, **kwargs):
        result = real(*args, **kwargs)
        calls.append(1)
        if len(calls) == int(call):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, last, deadly)

    from orderlake.contracts.registry import Registry
    from orderlake.curation.models import load_models
    from orderlake.curation.refresh import refresh
    from orderlake.curation.window import Window
    from orderlake.lake.catalog import Lake
    from orderlake.settings import Settings, builtin_root

    lake = Lake.open(Settings(home=Path(home)))
    window = Window(dt.date.fromisoformat(day), dt.date.fromisoformat(day))
    for model in load_models([builtin_root()], Registry([builtin_root()])).values():
        refresh(lake, model, window, "killed")
"""

STEPS = [
    ("orderlake.curation.build", "stage"),
    ("orderlake.curation.build", "Audit.evaluate"),
    ("orderlake.lake.commit", "stage"),
    ("orderlake.curation.publish", "commit"),
    ("orderlake.curation.build", "record_check_results"),
    ("orderlake.curation.build", "record_builds"),
]


def contents(lake: Lake) -> tuple[list[str], list[int]]:
    """Return the orders published, and how many the mart counts, as a reader sees them."""
    orders = lake.load(ORDERS).scan().to_arrow().column("order_id").to_pylist()
    counted = lake.load(MART).scan().to_arrow().column("orders").to_pylist()
    return sorted(orders), counted


@pytest.mark.parametrize("table", [1, 2], ids=[ORDERS, MART])
@pytest.mark.parametrize(("module", "step"), STEPS, ids=[f"{m.rsplit('.', 1)[1]}.{s}" for m, s in STEPS])
def test_killed_behind_any_step(
    raw: RawOrders, lake: Lake, settings: Settings, models: dict[str, Model], module: str, step: str, table: int
) -> None:
    raw.land([order(1)])
    for model in models.values():
        refresh(lake, model, ONE, "before")
    old = contents(lake)
    assert old == (["O-1"], [1])
    raw.land([order(2), order(3)])
    new = (["O-1", "O-2", "O-3"], [3])

    # The commit path is used by the ledger as well: of its four or five commits a build is the first.
    call = table if module != "orderlake.lake.commit" else {1: 1, 2: 4}[table]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROCESS), str(settings.home), module, step, str(call), str(DAY)],
        capture_output=True, text=True, check=False, cwd=builtin_root(), timeout=120,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr

    orders, counted = contents(lake)
    assert orders in (old[0], new[0])
    assert counted in (old[1], new[1])
    if table == 1:
        assert counted == old[1], "the mart was not begun"

    for model in models.values():
        refresh(lake, model, ONE, "after")
    assert contents(lake) == new
    assert plan(lake, list(models.values())).days == []
