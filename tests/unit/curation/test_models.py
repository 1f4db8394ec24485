"""A model states what it is; a header that does not agree with the statement or the contract is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orderlake.contracts.registry import Registry
from orderlake.curation.models import load_models
from orderlake.errors import ModelError
from orderlake.settings import builtin_root

SQL = (builtin_root() / "sql" / "models" / "analytics" / "orders.sql").read_text()


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., Path]:
    """Write a changed copy of the model of analytics.orders into a folder of its own."""

    def write(*changes: tuple[str, str]) -> Path:
        text = SQL
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "own" / "sql" / "models" / "analytics" / "orders.sql"
        path.parent.mkdir(parents=True)
        path.write_text(text)
        return tmp_path / "own"

    return write


def load(own: Path | None = None):
    search = [own, builtin_root()] if own else [builtin_root()]
    return load_models(search, Registry(search))


def test_models_come_after_what_they_read() -> None:
    models = load()
    assert list(models).index("analytics.orders") < list(models).index("marts.daily_orders")
    assert models["marts.daily_orders"].inputs == ("analytics.orders",)


def test_comments_and_layout_do_not_make_another_version_but_the_statement_does(own: Callable[..., Path]) -> None:
    before = load()["analytics.orders"].code_version
    folder = own(
        ("-- Copies of an event", "-- Other words about"), ("    event_id,\n    event_time,", "  EVENT_ID, event_time,")
    )
    assert load(folder)["analytics.orders"].code_version == before


def test_another_statement_is_another_version(own: Callable[..., Path]) -> None:
    before = load()["analytics.orders"].code_version
    assert load(own(("_kafka_offset\n) = 1", "_kafka_offset desc\n) = 1")))["analytics.orders"].code_version != before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("-- inputs: raw.orders_created_v1\n", ""), "does not state inputs"),
        (("-- inputs: raw.orders_created_v1", "-- inputs: raw.orders"), "the statement reads raw.orders_created_v1"),
        (("-- key:    event_id", "-- key:    order_id"), "the contract's primaryKey is event_id"),
        (("from raw.orders_created_v1", "from raw.nowhere"), "the statement reads raw.nowhere"),
        (("$window_end", "'2030-01-01'"), r"uses the parameters \['window_start'\]"),
        (("select\n    event_id,", "selec\n    event_id,"), "is not"),
        (("qualify row_number", "; drop table x; select 1 qualify row_number"), "is not"),
    ],
    ids=["no inputs", "wrong inputs", "wrong key", "other table", "no window end", "no SQL", "two statements"],
)
def test_a_header_that_does_not_agree_is_refused(own: Callable[..., Path], change: tuple[str, str], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        load(own(change))


def test_a_table_that_nobody_makes_is_named_with_those_there_are(own: Callable[..., Path]) -> None:
    folder = own(("raw.orders_created_v1", "raw.nowhere"))
    with pytest.raises(ModelError, match=r"reads raw\.nowhere(.|\n)*allowed: .*raw\.orders_created_v1"):
        load(folder)


def test_models_that_read_each_other_are_refused(tmp_path: Path, own: Callable[..., Path]) -> None:
    folder = own(("raw.orders_created_v1", "marts.daily_orders"))
    with pytest.raises(ModelError, match="read each other in a circle"):
        load(folder)
