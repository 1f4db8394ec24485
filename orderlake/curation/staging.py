"""Runs a model into data files that nobody sees yet."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from orderlake.contracts.arrow import arrow_schema
from orderlake.curation.models import Model
from orderlake.curation.window import Window
from orderlake.errors import ModelError, QueryError
from orderlake.lake.duck import DuckSession
from orderlake.lake.files import DataFileWriter
from orderlake.progress import task
from orderlake.times import day_of

_BATCH_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class Staged:
    """Data files of one build, and the rows of each of its days."""

    files: list[DataFile]
    rows: dict[dt.date, int]


def stage(session: DuckSession, model: Model, table: Table, window: Window) -> Staged:
    """Run a model over its attached inputs and write what it returns.

    Raises:
        ModelError: the statement fails, its columns are not those of the contract, or a row has no day or one outside
            the window.
    """
    try:
        result = session.execute(model.sql, window.parameters)
    except QueryError as error:
        raise ModelError(f"{model.path} cannot be run: {error.fact}", remedy="correct the statement.") from error
    reader = result.to_arrow_reader(_BATCH_ROWS)
    _compare_columns(model, reader.schema)
    writer = DataFileWriter(table, level=3, optional=True)
    counted: Counter[int] = Counter()
    try:
        with task(f"Building {model.name} {window}", total=len(window.ordinals)) as progress:
            for batch in reader:
                days = batch.column(model.partition_column)
                _require_day(model, days)
                ordinals = _ordinals(days)
                _require_inside(model, ordinals, window)
                writer.write(batch, ordinals)
                counted.update(dict(zip(*map(np.ndarray.tolist, np.unique(ordinals, return_counts=True)), strict=True)))
                progress.update(completed=len(counted))
    except BaseException:
        writer.abort()
        raise
    return Staged(writer.close(), {day_of(ordinal): rows for ordinal, rows in counted.items()})


def _compare_columns(model: Model, schema: pa.Schema) -> None:
    wanted = arrow_schema(model.contract.columns)
    found = [(field.name, field.type) for field in schema]
    if found != [(field.name, field.type) for field in wanted]:
        returned = ", ".join(f"{name} {kind}" for name, kind in found)
        declared = ", ".join(f"{field.name} {field.type}" for field in wanted)
        raise ModelError(
            f"{model.path} returns the columns {returned}.",
            allowed=f"those of {model.contract.path}: {declared}",
            remedy="name, order and cast the columns as the contract does.",
        )


def _ordinals(column: pa.Array) -> npt.NDArray[np.int64]:
    """Return the UTC days of timestamps or dates as ordinals."""
    days: npt.NDArray[np.int64] = (
        column.cast(pa.date32()).cast(pa.int32()).to_numpy(zero_copy_only=False).astype(np.int64)
    )
    return days


def _require_day(model: Model, days: pa.Array) -> None:
    if days.null_count:
        raise ModelError(
            f"{model.path} returned {days.null_count} rows without {model.partition_column}: they belong to no day.",
            remedy=f"leave out the rows whose {model.partition_column} is null.",
        )


def _require_inside(model: Model, ordinals: npt.NDArray[np.int64], window: Window) -> None:
    outside = ordinals[(ordinals < window.ordinals.start) | (ordinals >= window.ordinals.stop)]
    if len(outside):
        raise ModelError(
            f"{model.path} returned {len(outside)} rows outside {window}, the first of {day_of(int(outside[0]))}.",
            remedy=f"restrict {model.partition_column} to $window_start and $window_end.",
        )
