"""A lake for the test of the UI: four days of orders, one of which then breaks its contract.

The lander's own parts land the messages, without a broker, which the UI does not need either.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from pathlib import Path

from orchestration.instance import open_instance
from orchestration.materialize import Graph, Outcome
from orderlake.contracts.decoding import compile_decoder
from orderlake.contracts.odcs import load_contract
from orderlake.lake.catalog import Lake
from orderlake.lake.landing_tables import open_landing_tables
from orderlake.settings import Settings
from streaming.kafka import TopicIdentity
from streaming.lander.hold import HeldTable, this_process
from streaming.lander.router import Batch, Router
from streaming.lander.sink import TopicSink
from streaming.producers.orders import TOPIC, OrdersSpec, Planted, generate

DAYS = 4
_ORDERS = 1_200
_IDENTITY = TopicIdentity("no-cluster", TOPIC, "no-topic", (0, 1, 2, 3))
_BAD_ID = "cdbdd3e8-b73c-5d14-9f53-8d75b9b942ff"


class FilledLake:
    """The lake.

    Args:
        settings: of an empty lake.
        lax: file of a contract of the topic that lets negative amounts pass, as a producer's mistake would.

    Attributes:
        bad_day: fails `order_amount__range` and therefore keeps its former rows.
        bad_id: the event that is to blame.
    """

    def __init__(self, settings: Settings, lax: Path) -> None:
        now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        self.settings, self.lake = settings, Lake.open(settings)
        self.bad_day, self.bad_id = now.date() - dt.timedelta(days=1), _BAD_ID
        self.days = [now.date() - dt.timedelta(days=back) for back in reversed(range(DAYS))]
        contract = load_contract(lax, "topic")
        raw, quarantine = (
            HeldTable.claim(table, _IDENTITY, this_process()) for table in open_landing_tables(self.lake, contract)
        )
        self._sink = TopicSink(contract, raw, quarantine)
        self._router = Router(contract, compile_decoder(contract, settings.partitions_start), {}, {})
        self._offset = 0
        span = dt.timedelta(days=DAYS - 1)
        self.land(value for _, value in generate(OrdersSpec(_ORDERS, 1, now - span, span), Planted()))

    def land(self, values: Iterable[bytes | None]) -> None:
        """Land messages."""
        batch = Batch()
        for number, value in enumerate(values, self._offset):
            batch.values.append(value)
            batch.keys.append(None)
            batch.headers.append(None)
            batch.partitions.append(number % len(_IDENTITY.partitions))
            batch.offsets.append(number // len(_IDENTITY.partitions))
            batch.timestamps.append(int(dt.datetime.now(dt.UTC).timestamp() * 1000))
        self._offset += len(batch)
        self._sink.write(self._router.route(batch))
        self._sink.commit("test")

    def land_a_negative_amount(self) -> None:
        """Land an order that the table's contract does not allow."""
        noon = dt.datetime.combine(self.bad_day, dt.time(12), dt.UTC)
        bad = {
            "event_id": _BAD_ID, "event_time": noon.isoformat(), "order_id": "ORD-NEGATIVE", "user_id": "USR-1",
            "order_amount": "-7.00", "currency": "EUR", "order_status": "CREATED",
        }  # fmt: skip
        self.land([json.dumps(bad).encode()])

    def materialize(self) -> list[Outcome]:
        """Build what is out of date, as `orderlake materialize` does, on the lake's instance."""
        graph = Graph(self.settings, self.lake)
        with open_instance(self.settings) as instance:
            return graph.build(graph.select([]), instance, None)
