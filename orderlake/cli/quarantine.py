"""Commands for messages that broke their contract: list, show."""

from __future__ import annotations

import datetime as dt

import click

from orderlake.cli.app import App, json_option, pass_app, print_json, print_table

_topic = click.option("--topic", multiple=True, help="Topic; may be given several times. Default: all.")


def _topics(app: App, chosen: tuple[str, ...]) -> list[str]:
    return [app.registry.topic(name).physical_name for name in chosen] or sorted(app.registry.topics)


@click.group()
def quarantine() -> None:
    """Look at the messages that broke their contract."""


@quarantine.command("list")
@_topic
@json_option
@pass_app
def list_violations(app: App, topic: tuple[str, ...], as_json: bool) -> None:
    """Count violations by topic, day, reason, code and field.

    A message counts once under every violation it has; its reason is the first of them.
    """
    from streaming.quarantine import count_messages, count_violations

    topics = _topics(app, topic)
    counts, messages = count_violations(app.lake, topics), count_messages(app.lake, topics)
    if as_json:
        print_json({"messages": messages, "violations": counts})
        return
    columns = ("topic", "day", "reason", "violation", "field", "messages")
    print_table(columns, [(c.topic, c.day, c.reason, c.code, c.field, c.messages) for c in counts])
    for name, count in messages.items():
        click.echo(f"{name}: {count:,} messages in quarantine")


@quarantine.command()
@_topic
@click.option("--reason", help="Only messages with this violation code.")
@click.option("--field", help="Only messages with a violation in this field.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Only messages of this UTC day of the Kafka timestamp.")
@click.option("--partition", type=int, help="Only messages of this Kafka partition.")
@click.option("--offset", type=int, help="Only the message at this offset.")
@click.option("-n", "--limit", default=10, show_default=True, type=click.IntRange(1), help="Messages of each topic.")
@json_option
@pass_app
def show(
    app: App, topic: tuple[str, ...], reason: str | None, field: str | None, day: dt.datetime | None,
    partition: int | None, offset: int | None, limit: int, as_json: bool,
) -> None:  # fmt: skip
    """Show the messages themselves, newest first, with everything that is wrong with each."""
    from orderlake.contracts.decoding.base import VIOLATION_CODES
    from orderlake.errors import InputError
    from streaming.quarantine import Filter, find_messages

    if reason is not None and reason not in VIOLATION_CODES:
        raise InputError(f"{reason!r} is not a violation code.", allowed=VIOLATION_CODES)
    wanted = Filter(reason, field, day.date() if day else None, partition, offset)
    messages = find_messages(app.lake, _topics(app, topic), wanted, limit)
    if as_json:
        print_json(messages)
        return
    for m in messages:
        time = m.timestamp.isoformat(timespec="milliseconds").replace("+00:00", "Z") if m.timestamp else "no timestamp"
        key = "no key" if m.key is None else f"key {m.key.decode(errors='replace')}"
        click.secho(f"{m.topic} partition {m.partition} offset {m.offset}, {time}, {key}", bold=True)
        for violation in m.violations:
            click.echo(f"  {violation['code']}: {violation['message']}")
        payload = "no value" if m.payload is None else m.payload.decode(errors="backslashreplace")
        click.echo(f"  {payload}\n")
    click.echo(f"{len(messages)} messages shown")


COMMANDS = (quarantine,)
