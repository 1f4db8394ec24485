"""Where the end of a log lies behind the last message, landing moves on to it, and does not commit for that alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

import streaming.lander.landing as module
from orderlake.contracts.decoding import compile_decoder
from orderlake.contracts.odcs import load_contract
from orderlake.lake.landing_state import Range
from orderlake.settings import Settings, builtin_root
from streaming.lander.flush import FlushPolicy
from streaming.lander.landing import TopicLanding
from streaming.lander.router import Router

TOPIC = "orders.created.v1"


class Recorder:
    """Stands for the writer thread."""

    def __init__(self) -> None:
        self.done: list[object] = []

    def write(self, sink, routed) -> None:
        self.done.append(routed.ranges)

    def commit(self, sink, reason: str) -> None:
        self.done.append(reason)


@pytest.fixture
def writer() -> Recorder:
    return Recorder()


@pytest.fixture
def landing(writer: Recorder) -> TopicLanding:
    contract = load_contract(builtin_root() / "contracts" / "topics" / f"{TOPIC}.yaml", "topic")
    positions = {0: 5, 1: 7}
    router = Router(contract, compile_decoder(contract, Settings(home=Path()).partitions_start), positions, {})
    return TopicLanding(
        begin=SimpleNamespace(identity=SimpleNamespace(topic=TOPIC)), positions=positions, sink=None, router=router,
        policy=FlushPolicy(0.0, 1, 1), writer=writer,
    )  # fmt: skip


def test_only_an_end_that_lies_ahead_moves_the_position(landing: TopicLanding) -> None:
    assert not landing.has_reached({0: 9, 1: 7})
    landing.pass_over({(TOPIC, 0): 9, (TOPIC, 1): 3, ("another", 1): 99})
    assert landing.positions == {0: 9, 1: 7}
    assert landing.has_reached({0: 9, 1: 7})


def test_an_orderly_end_records_what_was_passed_over(landing: TopicLanding, writer: Recorder) -> None:
    landing.pass_over({(TOPIC, 0): 9})
    landing.flush_if_due()
    assert writer.done == [], "no rows, no commit"
    landing.flush_if_due(force=True)
    assert writer.done == [{0: Range(5, 9, 0)}, "end"]
    landing.pass_over({(TOPIC, 0): 9})
    landing.flush_if_due(force=True)
    assert len(writer.done) == 2, "once"


def test_without_rows_it_is_recorded_after_a_while(
    landing: TopicLanding, writer: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PASSED_SECONDS", -1.0)
    landing.flush_if_due()
    assert writer.done == [], "nothing was passed over"
    landing.pass_over({(TOPIC, 1): 8})
    landing.flush_if_due()
    assert writer.done == [{1: Range(7, 8, 0)}, "passed"]
