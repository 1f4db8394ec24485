"""The command that lands topics: Kafka to Iceberg, exactly once."""

from __future__ import annotations

import click

from orderlake.cli.app import App, json_option, pass_app, print_json


@click.command()
@click.option(
    "--topic", multiple=True, help="Topic to land; may be given several times. Default: every topic with a contract."
)
@click.option("--until-caught-up", is_flag=True, help="End when everything that is in the topics now has been landed.")
@click.option(
    "--flush", metavar="fresh|cheap|SECONDS", help="Age at which is committed; default: ORDERLAKE_LAND__FLUSH."
)
@click.option("--accept-gap", is_flag=True, help="Go on where retention deleted messages before they were landed.")
@json_option
@pass_app
def land(
    app: App, topic: tuple[str, ...], until_caught_up: bool, flush: str | None, accept_gap: bool, as_json: bool
) -> None:
    """Land topics in Iceberg: every message once, in the raw table or in the quarantine table.

    Runs until it is stopped (Ctrl-C, SIGTERM), then commits what is pending. May be killed at any moment: the next
    start goes on exactly where the tables say.
    """
    import gc
    import signal

    from streaming.lander.display import Display
    from streaming.lander.flush import flush_policy
    from streaming.lander.lander import Lander

    app.log_as_service()
    policy = flush_policy(app.settings, flush)
    contracts = [app.registry.topic(name) for name in dict.fromkeys(topic or sorted(app.registry.topics))]
    # Consumed messages are many and never cyclic: by default they would trigger a walk over everything alive, imported
    # modules included, hundreds of times a second (a sixth of the CPU time). Cycles are still collected, seldom.
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 10, 10)
    with Display() as display:
        lander = Lander(
            app.settings, app.lake, contracts, policy,
            until_caught_up=until_caught_up, accept_gap=accept_gap, observer=display,
        )  # fmt: skip
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: lander.stop())
        summaries = lander.run()
    if as_json:
        print_json(summaries)
        return
    for s in summaries:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(s.reasons.items(), key=lambda i: -i[1]))
        speed = f" ({(s.rows + s.quarantined) / s.seconds:,.0f}/s)" if s.seconds else ""
        click.echo(
            f"{s.topic}: {s.rows:,} rows landed{speed}, {s.quarantined:,} quarantined"
            f"{f' ({reasons})' if reasons else ''}, {s.commits:,} commits, lag {s.lag:,}"
        )


COMMANDS = (land,)
