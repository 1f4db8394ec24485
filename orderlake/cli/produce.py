"""Commands that put messages into Kafka: produce, replay."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orderlake.cli.app import App, json_option, pass_app, print_json

if TYPE_CHECKING:
    from streaming.producers.delivery import Delivery

_SHARE = click.FloatRange(0, 1)


@click.group()
def produce() -> None:
    """Generate messages and send them to Kafka."""


@produce.command()
@click.option("--count", default=100, show_default=True, type=click.IntRange(1), help="Orders to create.")
@click.option(
    "--rate", default=0.0, show_default=True, type=click.FloatRange(0), help="Messages a second; 0: no limit."
)
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
    type=click.FloatRange(0),
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
    from streaming.producers.orders import TOPIC, OrdersSpec, Planted, generate
    from streaming.topics import ensure_topic

    span = dt.timedelta(days=days) if days else dt.timedelta(seconds=count / (rate or 1_000))
    begin = start.replace(tzinfo=dt.UTC) if start else dt.datetime.now(dt.UTC).replace(microsecond=0) - span
    spec = OrdersSpec(count, seed, begin, span, dirty, duplicates, late)
    planted = Planted()
    ensure_topic(app.settings, app.registry.topic(TOPIC))
    with shown(enabled=not as_json):
        delivery = send_all(app.settings, TOPIC, generate(spec, planted), total=count, rate=rate)
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
@click.option(
    "--rate", default=0.0, show_default=True, type=click.FloatRange(0), help="Messages a second; 0: no limit."
)
@click.option(
    "--key", "key_field", help="Field of the JSON object that becomes the key; default: the contract's messageKey."
)
@json_option
@pass_app
def replay(app: App, file: Path, topic: str, rate: float, key_field: str | None, as_json: bool) -> None:
    """Send FILE (JSON lines; plain, .gz or .zst) line by line, bytes untouched."""
    from orderlake.progress import shown
    from streaming.producers.delivery import send_all
    from streaming.producers.replay import count_lines, records
    from streaming.topics import require_known

    with shown(enabled=not as_json):
        total = count_lines(file)
        contract = app.registry.topics.get(topic)
        require_known(app.settings, topic, contract)
        field = key_field or (contract.topic.message_key if contract else None)
        delivery = send_all(app.settings, topic, records(file, field), total=total, rate=rate)
    _report(
        delivery,
        topic,
        {"topic": topic, "file": str(file), "lines": total},
        f"{total:,} lines of {file.name}",
        as_json=as_json,
    )


def _report(delivery: Delivery, topic: str, result: dict[str, object], text: str, *, as_json: bool) -> None:
    from orderlake.errors import UnavailableError

    speed = round(delivery.confirmed / delivery.seconds) if delivery.seconds else 0
    if as_json:
        print_json(
            result
            | {
                "confirmed": delivery.confirmed,
                "failed": dict(delivery.failures),
                "seconds": round(delivery.seconds, 3),
                "messages_per_second": speed,
            }
        )
    else:
        click.echo(
            f"{topic}: {delivery.confirmed:,} messages confirmed in {delivery.seconds:.1f} s ({speed:,}/s): {text}"
        )
    if delivery.failed:
        reasons = ", ".join(f"{reason} ({count:,})" for reason, count in delivery.failures.most_common())
        raise UnavailableError(
            f"{delivery.failed:,} messages were not confirmed by the broker: {reasons}.",
            remedy="see whether the broker runs (orderlake status), then send them again; duplicates do no harm.",
        )


COMMANDS = (produce, replay)
