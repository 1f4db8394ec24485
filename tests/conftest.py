"""What all tests share: a clean environment, a lake in a temporary folder, contracts made from the built-in ones."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from orderlake.lake.catalog import Lake
from orderlake.settings import Settings, builtin_root

TESTS = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=20, help="How often the lander is killed in the test of SIGKILL.")
    parser.addoption(
        "--seed", type=int, default=None, help="Seed of what is random in tests of faults; printed by them."
    )
    parser.addoption("--screenshots", metavar="DIR", default=None, help="Folder for what the test of the UI sees.")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of a test of faults; shown when the test fails."""
    given = request.config.getoption("--seed")
    chosen = given if given is not None else random.randrange(10**6)
    print(f"seed {chosen}: run again with --seed {chosen}")
    return chosen


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test by the folder it is in."""
    for item in items:
        item.add_marker(item.path.relative_to(TESTS).parts[0])


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run every test without the settings of whoever runs it, in a folder without .env."""
    for name in os.environ:
        if name.startswith("ORDERLAKE_") and name != "ORDERLAKE_REQUIRE_SERVERS":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an empty lake."""
    return Settings(home=tmp_path / "lake")


@pytest.fixture
def lake(settings: Settings) -> Lake:
    """An empty lake: SQLite catalog, local files."""
    return Lake.open(settings)


@pytest.fixture
def edit_contract(tmp_path: Path) -> Callable[..., Path]:
    """Write a changed copy of a built-in contract into a folder that may stand in ORDERLAKE_PATHS.

    The function takes the contract's path below `contracts/`, then pairs of (text to find, text to put). It returns
    the folder. Each text must be found, so that a test cannot pass because its change did nothing.
    """

    def edit(relative: str, *changes: tuple[str, str], folder: str = "own") -> Path:
        text = (builtin_root() / "contracts" / relative).read_text()
        for old, new in changes:
            assert old in text, f"{old!r} is not in {relative}"
            text = text.replace(old, new)
        target = tmp_path / folder / "contracts" / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return tmp_path / folder

    return edit
