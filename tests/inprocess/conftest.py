"""A raw table filled without Kafka: rows as the lander would append them, through the same commit path."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.table import Table

from orderlake.contracts.arrow import arrow_schema
from orderlake.contracts.columns import raw_columns
from orderlake.contracts.model import Contract
from orderlake.contracts.registry import Registry
from orderlake.curation.models import Model, load_models
from orderlake.lake.catalog import Lake
from orderlake.lake.commit import Change, commit
from orderlake.lake.files import DataFileWriter
from orderlake.lake.landing_tables import open_landing_tables
from orderlake.settings import builtin_root
from orderlake.times import day_ordinal

DAY = dt.date(2026, 1, 10)


@pytest.fixture(scope="session")
def registry() -> Registry:
    return Registry([builtin_root()])


@pytest.fixture(scope="session")
def contract(registry: Registry) -> Contract:
    return registry.topic("orders.created.v1")


@pytest.fixture(scope="session")
def models(registry: Registry) -> dict[str, Model]:
    return load_models([builtin_root()], registry)


def order(number: int, day: dt.date = DAY, **changes: Any) -> dict[str, Any]:
    """One row of raw.orders_created_v1."""
    moment = dt.datetime.combine(day, dt.time(10, tzinfo=dt.UTC)) + dt.timedelta(seconds=number % 3600)
    return {
        "event_id": f"00000000-0000-4000-8000-{number:012d}",
        "event_time": moment,
        "order_id": f"O-{number}",
        "user_id": f"U-{number % 7}",
        "order_amount": Decimal(number % 1000 + 1).scaleb(-2),
        "currency": "EUR",
        "order_status": "CREATED",
        "_kafka_partition": number % 4,
        "_kafka_offset": number,
        "_kafka_timestamp": moment,
        "_kafka_key": None,
        "_kafka_headers": None,
        "_kind": "event",
        "_landed_at": moment + dt.timedelta(minutes=5),
        "_payload": b"{}",
        **changes,
    }


@dataclass
class RawOrders:
    """The raw table of orders.created.v1."""

    lake: Lake
    contract: Contract
    table: Table = field(init=False)

    def __post_init__(self) -> None:
        self.table, _ = open_landing_tables(self.lake, self.contract)

    def land(self, rows: Sequence[dict[str, Any]]) -> int:
        """Append rows; return the snapshot."""
        batch = pa.RecordBatch.from_pylist(list(rows), schema=arrow_schema(raw_columns(self.contract)))
        writer = DataFileWriter(self.table)
        days = pa.array([day_ordinal(row["event_time"].date()) for row in rows], pa.int64())
        writer.write(batch, days.to_numpy())
        files = writer.close()
        return commit(self.table, lambda _: Change(append=files))


@pytest.fixture
def raw(lake: Lake, contract: Contract) -> RawOrders:
    return RawOrders(lake, contract)


@pytest.fixture
def rows_of(lake: Lake) -> Callable[..., list[dict[str, Any]]]:
    """Read a table with PyIceberg, sorted by a column."""

    def read(name: str, by: str) -> list[dict[str, Any]]:
        return lake.load(name).scan().to_arrow().sort_by(by).to_pylist()

    return read
