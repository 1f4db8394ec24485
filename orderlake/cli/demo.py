"""The command that shows everything once: broker, dirty orders, landing, the graph with its checks, SQL."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from orderlake.cli.app import App, pass_app, print_table

if TYPE_CHECKING:
    from orchestration.materialize import Graph, Outcome
    from orderlake.settings import Settings
    from streaming.lander.lander import TopicSummary
    from streaming.producers.orders import Planted

_DIRTY, _DUPLICATES, _LATE = 0.02, 0.02, 0.03
_NEXT = """Next{activate}:
  orderlake status                          servers, lag, tables, checks
  orderlake sql                             a SQL shell over raw, quarantine, analytics and marts
  orderlake quarantine show                 the messages that broke the contract, and why
  orderlake contract show analytics.orders  what a table promises
  orderlake ui                              the Dagster UI: the graph, its checks, backfills
  orderlake down                            stop the broker; the lake stays in {home}
"""


@click.command()
@click.option("--orders", default=20_000, show_default=True, type=click.IntRange(1), help="Orders to produce.")
@click.option("--days", default=5, show_default=True, type=click.IntRange(1), help="Days over which they are spread.")
@pass_app
def demo(app: App, orders: int, days: int) -> None:
    """Start Kafka, produce dirty orders, land them, build the graph, show what happened.

    A second run adds other orders to those of the first.
    """
    from infra.native.lifecycle import up
    from orchestration.materialize import Graph
    from orderlake.cli.materialize import raise_for
    from orderlake.progress import shown

    with shown():
        with _step("Kafka"):
            for service, fresh in up(app.settings):
                click.echo(f"  {service.title} {'started' if fresh else 'runs already'} at {service.address}")
        with _step("Produce"):
            planted = _produce(app, orders, days)
        summary = _land(app)
        with _step("Materialize"):
            outcomes = _materialize(app, Graph(app.settings, app.lake))
    _summarize(app, planted, summary, outcomes, days=days)
    click.echo(_NEXT.format(activate=_how_to_activate(), home=app.settings.home))
    raise_for(outcomes)


def _how_to_activate() -> str:
    """Return what to do first where the shell does not find `orderlake`."""
    return "" if shutil.which("orderlake") else f", after `source {os.path.relpath(sys.prefix)}/bin/activate`"


@contextmanager
def _step(title: str) -> Iterator[None]:
    click.secho(title, bold=True)
    yield


def _next_seed(settings: Settings) -> int:
    """Return 1, then 2, ...: every run produces other orders."""
    path = settings.home / "demo.json"
    seed = json.loads(path.read_text())["seed"] + 1 if path.exists() else 1
    path.write_text(json.dumps({"seed": seed}))
    return seed


def _produce(app: App, orders: int, days: int) -> Planted:
    import datetime as dt

    from streaming.producers.delivery import send_all
    from streaming.producers.orders import TOPIC, OrdersSpec, Planted, generate
    from streaming.topics import ensure_topic

    span = dt.timedelta(days=days)
    start = dt.datetime.now(dt.UTC).replace(microsecond=0) - span
    spec = OrdersSpec(orders, _next_seed(app.settings), start, span, _DIRTY, _DUPLICATES, _LATE)
    planted = Planted()
    ensure_topic(app.settings, app.registry.topic(TOPIC))
    delivery = send_all(app.settings, TOPIC, generate(spec, planted), total=orders)
    click.echo(f"  {delivery.confirmed:,} messages into {TOPIC} (seed {spec.seed}, {delivery.failed:,} failed)")
    return planted


def _land(app: App) -> TopicSummary:
    from streaming.lander.display import Display
    from streaming.lander.flush import flush_policy
    from streaming.lander.lander import Lander
    from streaming.producers.orders import TOPIC

    with _step("Land"), Display() as display:
        lander = Lander(
            app.settings, app.lake, [app.registry.topic(TOPIC)], flush_policy(app.settings),
            until_caught_up=True, observer=display,
        )  # fmt: skip
        summary = lander.run()[0]
    click.echo(f"  {summary.rows:,} rows landed, {summary.quarantined:,} quarantined, {summary.commits} commits")
    return summary


def _materialize(app: App, graph: Graph) -> list[Outcome]:
    from orchestration.instance import open_instance

    with open_instance(app.settings) as instance:
        return [*graph.build(graph.select([]), instance, None), graph.check_balance(instance)]


def _summarize(app: App, planted: Planted, summary: TopicSummary, outcomes: list[Outcome], *, days: int) -> None:
    from orderlake.lake.duck import DuckSession
    from orderlake.lake.query import run

    click.echo()
    print_table(
        ("what", "messages"),
        [
            ("produced", planted.messages),
            ("  orders", planted.orders),
            ("  sent twice", planted.duplicates),
            ("  late by 1 to 10 days", planted.late),
            ("  dirty", planted.dirt.total()),
            ("landed in raw", summary.rows),
            ("quarantined", summary.quarantined),
        ],
        "Messages of this run",
    )
    reasons = sorted(planted.dirt.keys() | summary.reasons, key=lambda reason: -summary.reasons.get(reason, 0))
    print_table(
        ("reason", "planted", "quarantined"),
        [(reason, planted.dirt.get(reason, 0), summary.reasons.get(reason, 0)) for reason in reasons],
        "Quarantine by reason",
    )
    checks = [check for outcome in outcomes for check in outcome.checks]
    failed = [check for check in checks if not check.passed]
    click.secho(f"Checks: {len(checks) - len(failed)} passed, {len(failed)} failed", bold=True)
    for check in failed:
        click.echo(f"  {check.table} {check.check}: {check.text}")
    click.echo()
    if app.lake.find("marts.daily_orders") is None:
        return
    with DuckSession() as session:
        recent = f"from marts.daily_orders where day >= current_date - {days} order by day, currency"
        columns, rows = run(session, app.lake, recent)
    print_table(columns, rows, f"marts.daily_orders, the last {days + 1} days")


COMMANDS = (demo,)
