"""Progress of long work: library code reports steps, the command line decides how they look.

Work that may take longer than a second wraps itself in `task(...)`. Without a reporter (in a Dagster run, in tests)
nothing is shown; the command line sets one for its own process with `shown()`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Task:
    """One piece of work under way."""

    def __init__(self, progress: Progress | None = None, task_id: TaskID | None = None) -> None:
        self._progress = progress
        self._task_id = task_id

    def advance(self, amount: float = 1) -> None:
        """Report that more of the work is done."""
        if self._progress is not None and self._task_id is not None:
            self._progress.advance(self._task_id, amount)

    def update(self, completed: float | None = None, total: float | None = None, detail: str | None = None) -> None:
        """Report how much is done, how much there is, or what is being done."""
        if self._progress is not None and self._task_id is not None:
            self._progress.update(self._task_id, completed=completed, total=total)
            if detail is not None:
                self._progress.update(self._task_id, detail=detail)


_reporter: ContextVar[Progress | None] = ContextVar("orderlake_progress", default=None)


@contextmanager
def task(description: str, total: float | None = None) -> Iterator[Task]:
    """Report a piece of work for as long as the context lasts; without a total it only shows that it goes on."""
    progress = _reporter.get()
    if progress is None:
        yield Task()
        return
    task_id = progress.add_task(description, total=total, detail="")
    try:
        yield Task(progress, task_id)
    finally:
        progress.remove_task(task_id)


@contextmanager
def shown(*, enabled: bool = True) -> Iterator[None]:
    """Show progress bars on stderr while the context lasts, if stderr is a terminal."""
    if not enabled or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        token = _reporter.set(progress)
        try:
            yield
        finally:
            _reporter.reset(token)
