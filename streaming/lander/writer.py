"""The writer thread: Parquet and commits beside decoding; Arrow and the file system release Python's lock meanwhile."""

from __future__ import annotations

import contextlib
import queue
import threading
from dataclasses import dataclass

from streaming.lander.router import Routed
from streaming.lander.sink import TopicSink

#: Decoded batches that may wait: with those being decoded and written they bound the lander's memory.
_WAITING = 3


@dataclass(frozen=True, slots=True)
class _Write:
    sink: TopicSink
    routed: Routed


@dataclass(frozen=True, slots=True)
class _Commit:
    sink: TopicSink
    reason: str


class WriterThread:
    """Runs the sinks' work in order. An error in it is raised by the next call of any method."""

    def __init__(self) -> None:
        self._queue: queue.Queue[_Write | _Commit | None] = queue.Queue(_WAITING)
        self._error: BaseException | None = None
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, name="lander-writer", daemon=True)
        self._thread.start()

    def write(self, sink: TopicSink, routed: Routed) -> None:
        """Hand over decoded rows; waits while too many are waiting."""
        self._put(_Write(sink, routed))

    def commit(self, sink: TopicSink, reason: str) -> None:
        """Ask for a commit of everything handed over before."""
        self._put(_Commit(sink, reason))

    def check(self) -> None:
        """Raise the error that ended the thread, if one did."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Wait until everything handed over is done."""
        self._put(None)
        self._thread.join()
        self.check()

    def abandon(self) -> None:
        """Let the thread end after what it is doing now, and wait for that; what waits is dropped."""
        self._abandoned = True
        while self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._queue.put_nowait(None)
            self._thread.join(0.05)

    def _put(self, item: _Write | _Commit | None) -> None:
        while True:
            self.check()
            try:
                self._queue.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def _run(self) -> None:
        try:
            while (item := self._queue.get()) is not None and not self._abandoned:
                if isinstance(item, _Write):
                    item.sink.write(item.routed)
                else:
                    item.sink.commit(item.reason)
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            self._error = error
