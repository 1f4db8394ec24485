"""Commands that put messages into Kafka: produce, replay."""

from __future__ import annotations

import contextlib
import datetime as dt
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orderlake.cli.app import App, json_option, pass_app, print_json

if TYPE_CHECKING:
    from orderlake.errors import OrderlakeError
    from streaming.producers.delivery import Delivery


class _Number(click.FloatRange):
    """A number within a range; click's own type lets nan pass, which is in no range and compares with nothing."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from orderlake.errors import InputError

        number = float(click.FLOAT.convert(value, param, ctx))
        low, high = self.min or 0.0, self.max or 0.0
        if not (number == 0 or low <= number <= high):
            name = param.opts[0] if param else "this option"
            allowed = f"0, or {low:g} to {high:,.0f}" if low else f"0 to {high:,.0f}"
            raise InputError(f"{number} is not in the range of {name}.", allowed=allowed)
        return number


_SHARE = _Number(0, 1)
_RATE = _Number(0.001, 10_000_000)
_DAYS = _Number(0, 3_650_000)


@click.group()
def produce() -> None:
    """Generate messages and send them to Kafka."""


@produce.command()
@click.option("--count", default=100, show_default=True, type=click.IntRange(1), help="Orders to create.")
@click.option("--rate", default=0.0, show_default=True, type=_RATE, help="Messages a second; 0: no limit.")
@click.option("--seed", default=1, show_default=True, help="The same seed and start give the same bytes.")
@click.option(
    "--start",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="Event time (UTC) of the first order; default: so that the last one is now.",
)
@click.option(
    "--days",
    default=0.0,
    show_default=True,
    type=_DAYS,
    help="Spread the orders' event times over so many days; 0: at the rate.",
)
@click.option(
    "--dirty", default=0.0, show_default=True, type=_SHARE, help="Share of orders whose message breaks the contract."
)
@click.option("--duplicates", default=0.0, show_default=True, type=_SHARE, help="Share of orders that are sent twice.")
@click.option(
    "--late", default=0.0, show_default=True, type=_SHARE, help="Share of orders that happened 1 to 10 days earlier."
)
@json_option
@pass_app
def orders(
    app: App, count: int, rate: float, seed: int, start: dt.datetime | None, days: float,
    dirty: float, duplicates: float, late: float, as_json: bool,
) -> None:  # fmt: skip
    """Create orders on orders.created.v1, keyed by order_id; every delivery is confirmed."""
    from orderlake.progress import shown
    from streaming.producers.delivery import send_all
    from streaming.producers.orders import TOPIC, OrdersSpec, Planted, event_times, generate
    from streaming.topics import ensure_topic

    given = start.replace(tzinfo=dt.UTC) if start else None
    begin, span = event_times(count, rate=rate, days=days, start=given, late=late)
    spec = OrdersSpec(count, seed, begin, span, dirty, duplicates, late)
    planted = Planted()
    ensure_topic(app.settings, app.registry.topic(TOPIC))
    with shown(enabled=not as_json), _interruptible() as stop:
        delivery = send_all(app.settings, TOPIC, generate(spec, planted), total=count, rate=rate, stop=stop)
    result = {
        "topic": TOPIC,
        "seed": seed,
        "start": begin.isoformat().replace("+00:00", "Z"),
        "orders": planted.orders,
        "duplicates": planted.duplicates,
        "late": planted.late,
        "dirty": dict(planted.dirt.most_common()),
    }
    text = f"{planted.orders:,} orders ({planted.dirt.total():,} dirty, {planted.late:,} late)"
    text += f" and {planted.duplicates:,} duplicates"
    _report(delivery, TOPIC, result, text, as_json=as_json)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--topic", required=True, help="Topic to send to; created from its contract if it is missing.")
@click.option("--rate", default=0.0, show_default=True, type=_RATE, help="Messages a second; 0: no limit.")
@click.option(
    "--key", "key_field", help="Field of the JSON object that becomes the key; default: the contract's messageKey."
)
@json_option
@pass_app
def replay(app: App, file: Path, topic: str, rate: float, key_field: str | None, as_json: bool) -> None:
    """Send FILE (JSON lines; plain, .gz or .zst) line by line, bytes untouched."""
    from orderlake.progress import shown
    from streaming.producers.delivery import send_all
    from streaming.producers.replay import count_lines, line_numbers, records
    from streaming.topics import require_known

    with shown(enabled=not as_json):
        total = count_lines(file)
        contract = app.registry.topics.get(topic)
        require_known(app.settings, topic, contract)
        field = key_field or (contract.topic.message_key if contract else None)
        with _interruptible() as stop:
            delivery = send_all(app.settings, topic, records(file, field), total=total, rate=rate, stop=stop)
    failed = line_numbers(file, set(delivery.failed_values)) if delivery.failed else []
    result: dict[str, object] = {"topic": topic, "file": str(file), "lines": total, "failed_lines": failed}
    places = f"{file}, line{'s' if len(failed) > 1 else ''} {', '.join(map(str, failed))}"
    _report(delivery, topic, result, f"{total:,} lines of {file.name}", as_json=as_json, places=places)


@contextlib.contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Make Ctrl-C a question that the sender asks: an exception in one of librdkafka's callbacks would be lost."""
    asked = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: asked.set())
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def _report(
    delivery: Delivery, topic: str, result: dict[str, object], text: str, *, as_json: bool, places: str = ""
) -> None:
    if delivery.interrupted:
        text = "interrupted" + (f"; {delivery.unconfirmed:,} more are unknown" if delivery.unconfirmed else "")
    speed = round(delivery.confirmed / delivery.seconds) if delivery.seconds else 0
    if as_json:
        print_json(
            result
            | {
                "confirmed": delivery.confirmed,
                "failed": dict(delivery.failures),
                "interrupted": delivery.interrupted,
                "seconds": round(delivery.seconds, 3),
                "messages_per_second": speed,
            }
        )
    else:
        click.echo(
            f"{topic}: {delivery.confirmed:,} messages confirmed in {delivery.seconds:.1f} s ({speed:,}/s): {text}"
        )
    if delivery.failed:
        raise _failure(delivery, places)
    if delivery.interrupted:
        raise click.Abort


def _failure(delivery: Delivery, places: str) -> OrderlakeError:
    """Return the error that says which messages failed and why; sending again does not help what is too large."""
    from orderlake.errors import OrderlakeError, UnavailableError

    reasons = ", ".join(f"{reason} ({count:,})" for reason, count in delivery.failures.most_common())
    if delivery.failed > len(delivery.failed_values):
        places += " and others"
    count = "1 message was" if delivery.failed == 1 else f"{delivery.failed:,} messages were"
    fact = f"{count} not confirmed by the broker: {reasons}{places and f'; {places}'}."
    if delivery.too_large == delivery.failed:
        return OrderlakeError(
            fact, remedy="let the topic accept larger messages (topicConfig: max.message.bytes), or split these."
        )
    return UnavailableError(
        fact, remedy="see whether the broker runs (orderlake status), then send them again; duplicates do no harm."
    )


COMMANDS = (produce, replay)
