"""Small files become one, the rows stay, and nobody loses anything to a merge."""

from __future__ import annotations

import datetime as dt

import pytest

import orderlake.lake.merge as module
from orderlake.curation.ledger import BUILDS, Build, latest_builds, record_builds
from orderlake.lake.catalog import Lake
from orderlake.lake.merge import merge_small_files
from orderlake.lake.partitions import live_files

DAYS = [dt.date(2026, 1, 1) + dt.timedelta(days=n) for n in range(60)]


def build_of(day: dt.date, run: str = "run") -> Build:
    return Build("a.b", day, "p", 1, 2, dt.datetime.now(dt.UTC), run, "v", {"raw.x": "3"})


def files(lake: Lake) -> int:
    table = lake.load(BUILDS)
    return len(list(live_files(table, table.current_snapshot())))


def test_the_ledger_keeps_its_rows_in_few_files(lake: Lake) -> None:
    for day in DAYS:
        record_builds(lake, [build_of(day)])
    assert files(lake) <= 12
    assert set(latest_builds(lake, "a.b")) == set(DAYS)
    assert lake.load(BUILDS).scan().to_arrow().num_rows == len(DAYS)


def test_rows_that_come_during_a_merge_are_kept(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in DAYS[:5]:
        record_builds(lake, [build_of(day)])
    real = module.commit

    def late(*arguments: object, **options: object) -> int:
        monkeypatch.setattr(module, "commit", real)
        record_builds(lake, [build_of(DAYS[5])])
        return real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "commit", late)
    assert merge_small_files(lake.load(BUILDS), at_least=5, sort_by="partition_key", keep_snapshots=20)
    assert set(latest_builds(lake, "a.b")) == set(DAYS[:6])
    assert files(lake) == 2


def test_of_two_merges_one_does_nothing(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in DAYS[:5]:
        record_builds(lake, [build_of(day)])
    real = module.commit

    def overtaken(*arguments: object, **options: object) -> int:
        monkeypatch.setattr(module, "commit", real)
        assert merge_small_files(lake.load(BUILDS), at_least=5, sort_by="partition_key", keep_snapshots=20)
        return real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "commit", overtaken)
    assert not merge_small_files(lake.load(BUILDS), at_least=5, sort_by="partition_key", keep_snapshots=20)
    assert lake.load(BUILDS).scan().to_arrow().num_rows == 5
