"""The Python in docs/python.md runs as it stands, in one session, over a lake with the built-in tables."""

from __future__ import annotations

from typing import Any

import pytest

import orderlake
from orderlake.curation.build import build
from orderlake.curation.models import Model
from orderlake.curation.window import Window
from orderlake.errors import OrderlakeError
from orderlake.lake.catalog import Lake
from orderlake.settings import Settings, builtin_root
from tests.inprocess.conftest import DAY, RawOrders, order
from tests.unit.test_docs import code_blocks

DOCUMENT = builtin_root() / "docs" / "python.md"


@pytest.fixture
def home(
    raw: RawOrders, lake: Lake, models: dict[str, Model], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw.land([order(n) for n in range(5_000)])
    for name in ("analytics.orders", "marts.daily_orders"):
        build(lake, models[name], Window(DAY, DAY), "run")
    monkeypatch.setenv("ORDERLAKE_HOME", str(settings.home))


@pytest.mark.usefixtures("home")
def test_the_walk_through_runs() -> None:
    names: dict[str, Any] = {}
    blocks = code_blocks(DOCUMENT, "python")
    assert len(blocks) >= 5
    for block in blocks:
        exec(compile(block, DOCUMENT.name, "exec"), names)
    assert names["table"].num_rows == 5_000
    assert names["result"].statement.strip().startswith("select")
    assert len(names["frame"]) == 1, "one day, one currency"
    names["lake"].close()


def test_every_error_of_the_table_exists() -> None:
    listed = [line.split("`")[1] for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    kinds = [getattr(orderlake.errors, name) for name in listed if name != "orderlake.errors."]
    assert len(kinds) >= 6
    assert all(issubclass(kind, OrderlakeError) for kind in kinds)


@pytest.mark.usefixtures("home")
def test_the_remedy_in_the_document_is_the_one_given() -> None:
    (block,) = (block for block in code_blocks(DOCUMENT, "python") if "error.remedy" in block)
    promised = block.split("# ")[1].strip()
    with orderlake.connect() as lake, pytest.raises(orderlake.errors.InputError) as caught:
        lake.table("analytics.order")
    assert str(caught.value.remedy).replace('"', "'") == promised.replace('"', "'")
