"""Generates messages of `orders.created.v1`: realistic, deterministic, and as dirty as asked for.

The same specification gives the same bytes in the same order. Faker invents the customers once; what varies from
order to order comes from one seeded random source, so that generating costs microseconds.
"""

from __future__ import annotations

import datetime as dt
import heapq
import json
import math
import random
import string
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Literal

from faker import Faker
from pydantic import AwareDatetime, BaseModel, Field

from orderlake.contracts.checks import UUID_PATTERN
from orderlake.errors import InputError
from streaming.producers.delivery import Record

TOPIC = "orders.created.v1"

_ALPHABET = string.ascii_uppercase + string.digits
_CURRENCIES = ("EUR",) * 11 + ("USD",) * 5 + ("GBP",) * 3 + ("CHF",)
#: 1,024 pairs of letters and digits: four of them are an order number of 40 random bits.
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET][:1024]
_CUSTOMERS = 2_000
_LATEST_REPEAT = 2_000
_LATE_DAYS = (1.0, 10.0)
#: Without a rate, orders are this many a second apart in event time.
_PER_SECOND = 1_000
_CALENDAR_ENDS = dt.datetime(9999, 12, 31, tzinfo=dt.UTC)


def _uuid4(bits: int) -> str:
    """Return the UUID of version 4 with these 122 random bits; `uuid.UUID` takes four times as long."""
    digits = f"{bits:031x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[12:15]}-{'89ab'[bits & 3]}{digits[15:18]}-{digits[19:]}"


def _eight_characters(bits: int) -> str:
    return _PAIRS[bits & 1023] + _PAIRS[bits >> 10 & 1023] + _PAIRS[bits >> 20 & 1023] + _PAIRS[bits >> 30]


class OrderCreated(BaseModel):
    """A valid message, as its contract says."""

    event_id: Annotated[str, Field(pattern=UUID_PATTERN)]
    event_time: AwareDatetime
    order_id: Annotated[str, Field(min_length=1, max_length=64)]
    user_id: Annotated[str, Field(min_length=1, max_length=64)]
    order_amount: Annotated[Decimal, Field(gt=0, max_digits=10, decimal_places=2)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    order_status: Literal["CREATED"] = "CREATED"


#: pydantic's own validator and serializer, without the wrappers that would double their cost per order.
_validate = OrderCreated.__pydantic_validator__.validate_python
to_json = OrderCreated.__pydantic_serializer__.to_json


@dataclass(frozen=True, slots=True)
class OrdersSpec:
    """What to generate.

    Attributes:
        count: orders; every one is a message, duplicates come on top.
        seed: of all randomness.
        start: event time of the first order.
        span: over which the orders' event times are spread.
        dirty: share of orders whose message breaks the contract.
        duplicates: share of good orders whose message comes a second time, a little later.
        late: share of orders that happened one to ten days before those around them.
    """

    count: int
    seed: int
    start: dt.datetime
    span: dt.timedelta
    dirty: float = 0.0
    duplicates: float = 0.0
    late: float = 0.0


def event_times(
    count: int, *, rate: float, days: float, start: dt.datetime | None, late: float
) -> tuple[dt.datetime, dt.timedelta]:
    """Return the event time of the first order, and over which span the orders are spread.

    Args:
        count: how many orders.
        rate: orders a second; 0 for as many as come.
        days: the span, if it is not to follow from the rate.
        start: the first order's event time; None so that the last one is now.
        late: share of late orders.

    Raises:
        InputError: some of them would lie outside the calendar.
    """
    try:
        span = dt.timedelta(days=days) if days else dt.timedelta(seconds=count / (rate or _PER_SECOND))
        begin = start or dt.datetime.now(dt.UTC).replace(microsecond=0) - span
        inside = begin + span <= _CALENDAR_ENDS and (not late or bool(begin - dt.timedelta(days=_LATE_DAYS[1])))
    except OverflowError:
        inside = False
    if not inside:
        raise InputError(
            "the orders' event times would lie outside the calendar.",
            allowed=f"0001-01-01 to 9999-12-31; with --late, from {_LATE_DAYS[1]:.0f} days later on",
            remedy="choose --start, --days, --count and --rate so that they lie within.",
        )
    return begin, span


@dataclass(slots=True)
class Planted:
    """What has been generated so far: the truth that a lake can be compared with."""

    orders: int = 0
    duplicates: int = 0
    late: int = 0
    dirt: Counter[str] = field(default_factory=Counter)

    @property
    def messages(self) -> int:
        """All messages."""
        return self.orders + self.duplicates


def generate(spec: OrdersSpec, planted: Planted) -> Iterator[Record]:
    """Yield the messages; `planted` counts them as they go."""
    orders = _Orders(spec, planted)
    rng, duplicates = orders.rng, spec.duplicates
    repeats: list[tuple[int, bytes, bytes]] = []
    for number in range(spec.count):
        while repeats and repeats[0][0] <= number:
            _, key, value = heapq.heappop(repeats)
            planted.duplicates += 1
            yield key, value
        order = orders.order(number)
        key = order.order_id.encode()
        planted.orders += 1
        if rng.random() < spec.dirty:
            reason, spoil = rng.choice(_DIRT)
            planted.dirt[reason] += 1
            yield key, spoil(order, rng)
            continue
        value = to_json(order)
        if duplicates and rng.random() < duplicates:
            heapq.heappush(repeats, (number + rng.randint(1, _LATEST_REPEAT), key, value))
        yield key, value
    for _, key, value in sorted(repeats):
        planted.duplicates += 1
        yield key, value


class _Orders:
    """Draws orders. What is the same for all of them is computed once: this is the hot path of generating."""

    def __init__(self, spec: OrdersSpec, planted: Planted) -> None:
        # The start counts too: runs that only began at another time are other orders, not the same ids at other times.
        self.rng = random.Random(f"{spec.seed} {spec.start.isoformat()}")  # noqa: S311 - not a secret
        faker = Faker()
        faker.seed_instance(spec.seed)
        self._customers = [faker.unique.bothify("USR-????????", letters=_ALPHABET) for _ in range(_CUSTOMERS)]
        self._start = spec.start.timestamp()
        self._step = spec.span.total_seconds() / spec.count
        self._late = spec.late
        self._planted = planted

    def order(self, number: int) -> OrderCreated:
        """Return a good order: the number decides about when it happened."""
        random_share = self.rng.random
        moment = self._start + (number + random_share()) * self._step
        if self._late and random_share() < self._late:
            self._planted.late += 1
            moment -= self.rng.uniform(*_LATE_DAYS) * 86_400
        cents = 1 + int(100 * math.exp(self.rng.gauss(4, 0.9)))
        order: OrderCreated = _validate(
            {
                "event_id": _uuid4(self.rng.getrandbits(122)),
                "event_time": dt.datetime.fromtimestamp(moment, dt.UTC),
                "order_id": f"ORD-{_eight_characters(self.rng.getrandbits(40))}",
                "user_id": self._customers[int(random_share() ** 3 * _CUSTOMERS)],
                "order_amount": Decimal(cents).scaleb(-2),
                "currency": _CURRENCIES[int(random_share() * len(_CURRENCIES))],
            }
        )
        return order


def _without_a_field(order: OrderCreated, rng: random.Random) -> bytes:
    return order.model_dump_json(exclude={rng.choice(("event_id", "order_id", "user_id", "currency"))}).encode()


def _with(**changes: object) -> Callable[[OrderCreated, random.Random], bytes]:
    """Return a spoiler that replaces fields of the message."""

    def spoil(order: OrderCreated, _rng: random.Random) -> bytes:
        return json.dumps(order.model_dump(mode="json") | changes, separators=(",", ":")).encode()

    return spoil


def _cut_off(order: OrderCreated, rng: random.Random) -> bytes:
    whole = to_json(order)
    return whole[: rng.randrange(1, len(whole))]


#: Ways to break the contract, with the reason a quarantine must give.
_DIRT: tuple[tuple[str, Callable[[OrderCreated, random.Random], bytes | None]], ...] = (
    ("invalid_json", _cut_off),
    ("invalid_json", lambda _order, _rng: b"<order>not JSON</order>"),
    ("invalid_utf8", lambda order, _rng: to_json(order).replace(b"CREATED", b"CR\xc9\xc9")),
    ("not_an_object", lambda order, _rng: b"[" + to_json(order) + b"]"),
    ("empty_message", lambda _order, _rng: None),
    ("missing", _without_a_field),
    ("null", _with(user_id=None)),
    ("wrong_type", _with(order_amount=12.5)),
    ("wrong_type", _with(order_id=4711)),
    ("empty", _with(user_id="")),
    ("too_long", _with(order_id="ORD-" + "X" * 80)),
    ("invalid_uuid", _with(event_id="not-a-uuid")),
    ("invalid_timestamp", _with(event_time="yesterday")),
    ("invalid_timestamp", _with(event_time="2026-01-15 10:30:00")),
    ("event_time_out_of_range", _with(event_time="1999-12-31T23:59:59.000Z")),
    ("event_time_out_of_range", _with(event_time="2999-01-01T00:00:00.000Z")),
    ("invalid_decimal", _with(order_amount="a lot")),
    ("too_many_decimals", _with(order_amount="12.345")),
    ("out_of_range", _with(order_amount="123456789.00")),
    ("below_minimum", _with(order_amount="-27.50")),
    ("below_minimum", _with(order_amount="0.00")),
    ("pattern", _with(currency="euro")),
    ("not_in_enum", _with(order_status="PAID")),
)
