"""What is told without being asked: freshness when it changes, checks that fail or recover, runs that failed."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr

from orchestration import freshness
from orchestration.alerts import check_alerts, run_failure_alerts
from orchestration.build import build_defs
from orchestration.materialize import Graph
from orchestration.ranges import Job
from orderlake.curation.window import Window
from orderlake.lake.catalog import Lake
from orderlake.settings import AlertSettings, Settings
from tests.inprocess.conftest import DAY, RawOrders, order
from tests.inprocess.dagster.test_automation import sensor

ORDERS, MART = "analytics.orders", "marts.daily_orders"
ONE = Window(DAY, DAY)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def webhook() -> Iterator[tuple[AlertSettings, list[dict[str, Any]], list[int]]]:
    """A server that keeps what is posted to it; the list of numbers are the answers it gives next, else 200."""
    posted: list[dict[str, Any]] = []
    answers: list[int] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = answers.pop(0) if answers else 200
            if status == 200:
                posted.append(body)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    yield AlertSettings(webhook_url=SecretStr(url)), posted, answers
    server.shutdown()
    thread.join()
    server.server_close()


def test_freshness_is_recorded_when_it_changes_and_as_a_heartbeat(
    settings: Settings, lake: Lake, raw: RawOrders, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    defs = build_defs(settings=settings)
    now, cursor = 1_800_000_000.0, None
    monkeypatch.setattr(freshness.time, "time", lambda: now)

    def tick() -> list[tuple[str, bool]]:
        nonlocal cursor
        context = dg.build_sensor_context(
            instance=instance, cursor=cursor, definitions=defs, resources={"lake": defs.resources["lake"]}
        )
        result = sensor(defs, "freshness")(context)
        if not isinstance(result, dg.SensorResult):
            return []
        cursor = result.cursor
        return [(".".join(e.asset_key.path), e.passed) for e in result.asset_events]

    ages = {"raw.orders_created_v1": 10.0, ORDERS: 10.0, MART: 10.0}

    def measured(_lake: Lake, name: str, limit: float, moment: float) -> freshness.Freshness:
        return freshness.Freshness(name, int((moment - ages[name]) * 1e6), ages[name], limit)

    monkeypatch.setattr(freshness, "measure", measured)
    assert tick() == [("raw.orders_created_v1", True), (ORDERS, True), (MART, True)]
    now += 60
    assert tick() == [], "the same verdicts are not recorded again"
    ages["raw.orders_created_v1"] = 61.0
    now += 60
    assert tick() == [("raw.orders_created_v1", False)]
    now += 900
    assert len(tick()) == 3, "the heartbeat"


def test_a_check_that_fails_is_told_once_and_so_is_its_recovery(
    settings: Settings, lake: Lake, raw: RawOrders, instance: dg.DagsterInstance,
    webhook: tuple[AlertSettings, list[dict[str, Any]], list[int]],
) -> None:  # fmt: skip
    alerts, posted, answers = webhook
    graph = Graph(settings, lake)
    alerting = check_alerts({ORDERS: "order-analytics"}, alerts)
    repository = graph._defs.get_repository_def()
    cursor: str | None = None

    def tick() -> list[tuple[str, str]]:
        nonlocal cursor
        posted.clear()
        context = dg.build_sensor_context(instance=instance, cursor=cursor, repository_def=repository)
        alerting(context)
        cursor = context.cursor
        return [(alert["severity"], alert["check"]) for alert in posted]

    raw.land([order(1, order_amount=Decimal("-1.00"))])
    graph.run(Job((ORDERS,), ONE), instance)
    answers.append(503)
    assert tick() == [], "the webhook did not take it"
    assert tick() == [("error", "order_amount__range")], "so it is sent again"
    assert posted[0]["owner"] == "order-analytics"
    assert posted[0]["text"].startswith("order_amount__range of analytics.orders fails: 1 on 2026-01-10")
    assert tick() == []
    graph.lake.catalog.drop_table("raw.orders_created_v1")
    RawOrders(lake, raw.contract).land([order(1)])
    graph.run(Job((ORDERS,), ONE), instance)
    assert tick() == [("recovered", "order_amount__range")]


def test_a_failed_run_is_told(
    settings: Settings, lake: Lake, raw: RawOrders, instance: dg.DagsterInstance,
    webhook: tuple[AlertSettings, list[dict[str, Any]], list[int]],
) -> None:  # fmt: skip
    alerts, posted, _ = webhook
    graph = Graph(settings, lake)
    raw.land([order(1, order_amount=Decimal("-1.00"))])
    outcome = graph.run(Job((ORDERS,), ONE), instance)
    run = instance.get_run_by_id(outcome.run_id)
    assert run is not None
    event = next(
        record.dagster_event for record in instance.all_logs(outcome.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    )
    assert event is not None
    context = dg.build_run_status_sensor_context(
        sensor_name="run_failures", dagster_event=event, dagster_instance=instance, dagster_run=run
    ).for_run_failure()
    run_failure_alerts(alerts)(context)
    assert [(alert["severity"], alert["run_id"]) for alert in posted] == [("error", outcome.run_id)]


def test_the_address_of_the_webhook_is_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    from orderlake.errors import UnavailableError
    from orderlake.ops.alerts import Alert, send

    settings = AlertSettings(webhook_url=SecretStr("http://127.0.0.1:9/secret-token"))
    with pytest.raises(UnavailableError) as refusal:
        send(Alert("error", "title", "text"), settings)
    assert "secret-token" not in str(refusal.value) + caplog.text + repr(settings)
    assert refusal.value.__cause__ is None


def test_the_nightly_comparison_is_requested_once_a_night(
    settings: Settings, lake: Lake, instance: dg.DagsterInstance
) -> None:
    import datetime as dt

    defs = build_defs(settings=settings)
    selection = dg.AssetSelection.all_asset_checks()
    cursor, requested = None, []
    begin = dt.datetime(2026, 1, 10, 2, 0, tzinfo=dt.UTC)
    for minutes in (0, 60, 90, 120, 24 * 60 + 60, 24 * 60 + 90):
        result = dg.evaluate_automation_conditions(
            defs, instance, asset_selection=selection, cursor=cursor,
            evaluation_time=begin + dt.timedelta(minutes=minutes),
        )  # fmt: skip
        cursor = result.cursor
        requested.append(result.total_requested)
    assert requested == [0, 0, 2, 0, 0, 2], "at 03:17, for both tables"
