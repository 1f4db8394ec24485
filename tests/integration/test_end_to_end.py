"""From messages to numbers: what a user does on the first day, and that every way to ask gives the same answer."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from orderlake.settings import builtin_root
from streaming.kafka import admin_client
from streaming.producers.orders import OrdersSpec, Planted, generate
from tests.integration.conftest import TOPIC_FILE, Bench, free_port

TOPIC = "orders.created.v1"


@pytest.fixture
def orders(tmp_path: Path, broker) -> Iterator[Bench]:
    """A lake of its own on the built-in topic, which begins empty."""
    admin = admin_client(broker)
    if TOPIC in admin.list_topics(timeout=10).topics:
        admin.delete_topics([TOPIC])[TOPIC].result(30)
        while TOPIC in admin.list_topics(timeout=10).topics:
            time.sleep(0.1)
    made = Bench(tmp_path, broker, TOPIC, [])
    yield made
    made.close()


@pytest.fixture
def december(tmp_path: Path) -> Path:
    """A file of orders of one December, dirt included, as a shop might hand it over."""
    start = dt.datetime(2010, 12, 1, 8, tzinfo=dt.UTC)
    spec = OrdersSpec(2_000, 2010, start, dt.timedelta(days=22), dirty=0.3)
    path = tmp_path / "december.jsonl"
    lines = [value for _, value in generate(spec, Planted()) if value and b"\n" not in value]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def by_hand(path: Path) -> dict[str, Decimal]:
    """Add up what meets the contract, with nothing of orderlake: JSON, Decimal and a few comparisons."""
    amounts: dict[str, Decimal] = defaultdict(Decimal)
    for line in path.read_bytes().splitlines():
        try:
            o = json.loads(line)
            ok = (
                set(o) >= {"event_id", "event_time", "order_id", "user_id", "order_amount", "currency", "order_status"}
                and re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", o["event_id"])
                and re.fullmatch(r"2010-12-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", o["event_time"])
                and 1 <= len(o["order_id"]) <= 64
                and 1 <= len(o["user_id"]) <= 64
                and re.fullmatch(r"\d{1,8}\.\d\d", o["order_amount"])
                and Decimal(o["order_amount"]) > 0
                and re.fullmatch(r"[A-Z]{3}", o["currency"])
                and o["order_status"] == "CREATED"
            )
        except (ValueError, TypeError):
            ok = False
        if ok:
            amounts[o["event_time"][:10]] += Decimal(o["order_amount"])
    return dict(amounts)


def query(bench: Bench, statement: str, *words: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(bench.ok("sql", statement, "--csv", *words).out)))


def test_a_file_is_replayed_landed_and_materialized_to_the_numbers_added_up_by_hand(
    orders: Bench, december: Path
) -> None:
    expected = by_hand(december)
    lines = len(december.read_bytes().splitlines())
    for times in (1, 2):
        sent = orders.ok("replay", str(december), "--topic", TOPIC, "--json").json
        assert (sent["confirmed"], sent["failed"]) == (lines, {})
        orders.ok("land", "--until-caught-up")
        raw, quarantined = orders.assert_exactly_once()
        assert raw + quarantined == times * lines
        outcomes = orders.ok("materialize", "--json").json
        assert all(outcome["success"] for outcome in outcomes)
        assert [o["partition"] for o in outcomes] == ["2010-12-01..2010-12-23", None]
        assert sum(check["passed"] for outcome in outcomes for check in outcome["checks"]) == 40
        good = query(orders, "select count(*) as n from analytics.orders")[0]["n"]
        assert int(good) == raw // times, "however often it is replayed"
        duck = query(orders, "select day, sum(amount) as amount from marts.daily_orders group by day order by day")
        assert {row["day"]: Decimal(row["amount"]) for row in duck} == expected
        iceberg: dict[str, Decimal] = defaultdict(Decimal)
        for row in orders.lake.load("analytics.orders").scan().to_arrow().to_pylist():
            iceberg[row["event_time"].date().isoformat()] += row["order_amount"]
        assert iceberg == expected
    assert orders.ok("materialize").out.startswith("everything is up to date")


def test_a_late_event_rebuilds_its_day_and_nothing_else(orders: Bench, fill: Callable[..., int]) -> None:
    fill(orders, 300)
    orders.ok("land", "--until-caught-up")
    orders.ok("materialize")
    late = {
        "event_id": "cdbdd3e8-b73c-5d14-9f53-8d75b9b942ff", "event_time": "2020-02-29T12:00:00Z", "order_id": "LATE",
        "user_id": "U", "order_amount": "7.00", "currency": "EUR", "order_status": "CREATED",
    }  # fmt: skip
    (orders.folder / "late.jsonl").write_text(json.dumps(late))
    orders.ok("replay", "late.jsonl", "--topic", TOPIC)
    orders.ok("land", "--until-caught-up")
    plan = orders.ok("materialize", "--dry-run", "--json").json
    assert [(p["table"], p["day"]) for p in plan] == [
        ("analytics.orders", "2020-02-29"),
        ("marts.daily_orders", "2020-02-29"),
    ]
    outcomes = orders.ok("materialize", "--json").json
    assert [(o["tables"], o["partition"]) for o in outcomes[:1]] == [
        (["analytics.orders", "marts.daily_orders"], "2020-02-29")
    ]
    assert query(orders, "select * from marts.daily_orders where day = '2020-02-29'") == [
        {
            "day": "2020-02-29",
            "currency": "EUR",
            "orders": "1",
            "customers": "1",
            "amount": "7.00",
            "average": "7.0000",
            "largest": "7.00",
        }
    ]


def test_a_day_that_breaks_its_contract_is_not_published_and_the_command_says_so(
    orders: Bench, fill: Callable[..., int], edit_contract: Callable[..., Path]
) -> None:
    """The topic's contract lets a negative amount pass; the table's does not."""
    orders.paths.append(
        edit_contract(
            TOPIC_FILE, ("logicalTypeOptions: {exclusiveMinimum: 0}\n        required: true", "required: true")
        )
    )
    fill(orders, 300)
    orders.ok("land", "--until-caught-up")
    orders.ok("materialize")
    now = dt.datetime.now(dt.UTC)
    of_today = f"where event_time >= date '{now.date()}'"
    before = query(orders, f"select count(*) as n, sum(order_amount) as a from analytics.orders {of_today}")
    bad = {
        "event_id": "cdbdd3e8-b73c-5d14-9f53-8d75b9b942ff", "event_time": now.isoformat(),
        "order_id": "NEGATIVE", "user_id": "U", "order_amount": "-7.00", "currency": "EUR", "order_status": "CREATED",
    }  # fmt: skip
    long_ago = dt.datetime(2020, 2, 29, 12, tzinfo=dt.UTC)
    good = bad | {
        "event_id": "cdbdd3e8-b73c-5d14-9f53-8d75b9b942fe", "event_time": long_ago.isoformat(), "order_amount": "5.00",
    }  # fmt: skip
    (orders.folder / "bad.jsonl").write_text(json.dumps(bad) + "\n" + json.dumps(good))
    orders.ok("replay", "bad.jsonl", "--topic", TOPIC)
    orders.ok("land", "--until-caught-up")
    result = orders.run("materialize")
    assert result.code == 6
    assert f"not published of analytics.orders: {now.date()}, where order_amount__range failed" in result.out
    assert "error: analytics.orders order_amount__range: 1 on" in result.out
    assert query(orders, f"select count(*) as n, sum(order_amount) as a from analytics.orders {of_today}") == before
    mart = query(orders, "select orders, amount from marts.daily_orders where day = date '2020-02-29'")
    assert mart == [{"orders": "1", "amount": "5.00"}], "another day does not suffer for it"
    (stale,) = [day for day in orders.ok("stale", "--json").json if day["table"] == "analytics.orders"]
    assert (stale["day"], "rows of the day" in stale["reason"]) == (str(now.date()), True)
    tables = {t["table"]: t for t in orders.ok("status", "--json").json["tables"]}
    assert tables["analytics.orders"]["failing_checks"] == ["order_amount__range"]
    assert tables["analytics.orders"]["stale_days"] == 1


def test_the_quarantine_can_be_looked_into(orders: Bench, december: Path) -> None:
    orders.ok("replay", str(december), "--topic", TOPIC)
    orders.ok("land", "--until-caught-up")
    found = orders.ok("quarantine", "list", "--json").json
    _, quarantined = orders.assert_exactly_once()
    assert found["messages"] == {TOPIC: quarantined}
    by_code = defaultdict(int)
    for entry in found["violations"]:
        by_code[entry["code"]] += entry["messages"]
    assert by_code["below_minimum"] > 20
    assert by_code["missing"] > 10
    (shown,) = orders.ok("quarantine", "show", "--reason", "below_minimum", "-n", "1", "--json").json
    assert shown["reason"] == "below_minimum"
    assert shown["violations"][0]["field"] == "order_amount"
    text = orders.ok("quarantine", "show", "--partition", str(shown["partition"]), "--offset", str(shown["offset"])).out
    assert "is not greater than 0" in text
    assert '"order_amount": "' in text or '"order_amount":"' in text
    assert "1 messages shown" in text


def test_sql_speaks_csv_json_and_time_travel(orders: Bench, fill: Callable[..., int]) -> None:
    fill(orders, 100)
    orders.ok("land", "--until-caught-up")
    orders.ok("materialize")
    moment = dt.datetime.now(dt.UTC).isoformat()
    snapshot = {t["table"]: t for t in orders.ok("status", "--json").json["tables"]}["analytics.orders"]["snapshot_id"]
    fill(orders, 50, seed=2)
    orders.ok("land", "--until-caught-up")
    orders.ok("materialize")
    count = "select count(*) as n from analytics.orders"
    assert query(orders, count) == [{"n": "150"}]
    assert query(orders, count, "--as-of", moment) == [{"n": "100"}]
    assert query(orders, count, "--as-of", str(snapshot)) == [{"n": "100"}]
    rows = orders.ok(
        "sql", "--json", "select order_amount, event_time, _payload from raw.orders_created_v1 limit 1"
    ).out
    (row,) = json.loads(rows, parse_float=Decimal)
    assert isinstance(row["order_amount"], Decimal), "an exact number, no text"
    assert row["event_time"].endswith("Z")
    script = "create temp table t as select 1 as a; insert into t values (2);\nselect sum(a) as s from t;"
    assert orders.run("sql", "--csv", stdin=script).out.endswith("s\n3\n")
    pretty = orders.ok("sql", "select 1 as one, 'x' as two").out
    assert "one" in pretty
    assert "1 rows" in pretty


def test_the_shell_answers_until_it_is_left(orders: Bench, fill: Callable[..., int]) -> None:
    fill(orders, 10)
    orders.ok("land", "--until-caught-up")
    master, slave = pty.openpty()
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("ORDERLAKE_")},
        "ORDERLAKE_HOME": str(orders.settings.home), "TERM": "dumb", "COLUMNS": "200",
    }  # fmt: skip
    shell = subprocess.Popen(
        [sys.executable, "-c", "from orderlake.cli.main import main; main()", "sql"],
        stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=orders.folder,
    )  # fmt: skip
    os.close(slave)
    os.write(master, b".tables\nselect count(*) as landed\nfrom raw.orders_created_v1;\nselec 1;\n.quit\n")
    text = b""
    deadline = time.monotonic() + 60
    while shell.poll() is None and time.monotonic() < deadline:
        try:
            text += os.read(master, 65_536)
        except OSError:
            break
    assert shell.wait(10) == 0
    os.close(master)
    shown = text.decode()
    assert "raw.orders_created_v1" in shown
    assert re.search(r"landed.*10", shown, re.DOTALL)
    assert "error: DuckDB refused the statement" in shown


def test_status_tells_offsets_lag_rows_and_checks(orders: Bench, fill: Callable[..., int]) -> None:
    fill(orders, 200, dirty=0.2)
    orders.ok("land", "--until-caught-up")
    orders.ok("materialize")
    fill(orders, 30, seed=2)
    found = orders.ok("status", "--json").json
    (topic,) = [t for t in found["topics"] if t["topic"] == TOPIC]
    assert (topic["state"], topic["lag"]) == ("ok", 30)
    assert sum(o["end_offset"] - o["landed_offset"] for o in topic["offsets"]) == 30
    assert topic["raw_rows"] + topic["quarantine_rows"] == 200
    tables = {t["table"]: t for t in found["tables"]}
    assert tables["analytics.orders"]["rows"] == topic["raw_rows"]
    assert tables["analytics.orders"]["checks_passed"] == 19
    assert tables["analytics.orders"]["watermark"] == tables["raw.orders_created_v1"]["watermark"]
    assert "orders.created.v1" in orders.ok("status").out


def test_produce_is_deterministic_and_reports_what_it_planted(orders: Bench) -> None:
    words = (
        "produce",
        "orders",
        "--count",
        "500",
        "--seed",
        "7",
        "--start",
        "2026-01-01",
        "--days",
        "2",
        "--dirty",
        "0.1",
        "--duplicates",
        "0.1",
        "--late",
        "0.1",
        "--json",
    )
    first = orders.ok(*words).json
    assert first["confirmed"] == 500 + first["duplicates"]
    assert sum(first["dirty"].values()) > 20
    values = sorted(v or b"" for v in orders.messages().values())
    orders.ok(*words)
    twice = sorted(v or b"" for v in orders.messages().values())
    assert twice == sorted(values * 2), "the same seed and start, the same bytes"


def test_a_rate_is_kept(orders: Bench) -> None:
    result = orders.ok("produce", "orders", "--count", "60", "--rate", "30", "--json").json
    assert result["messages_per_second"] <= 33, "60 messages at 30 a second take two seconds"


def test_the_demo_runs_twice_and_adds_up(orders: Bench) -> None:
    for run in (1, 2):
        text = orders.ok("demo", "--orders", "3000", "--days", "3").out
        assert f"seed {run}," in text
        assert "Checks: 40 passed, 0 failed" in text
        planted, found = zip(*re.findall(r"│ [a-z_0-9]+ +│ +(\d+) │ +(\d+) │", text), strict=True)
        assert planted == found, "every planted dirt was found, for its reason"
        raw, quarantined = orders.assert_exactly_once()
        rows = int(query(orders, "select count(*) as n from analytics.orders")[0]["n"])
        dirty = quarantined
        assert rows == run * 3000 - dirty, "no order missing, none doubled"
        assert raw > rows, "raw keeps the copies"


def test_the_dagster_ui_comes_up_and_goes_down(orders: Bench) -> None:
    port = free_port()
    ui = orders.start("ui", ORDERLAKE_UI__PORT=str(port))
    orders.wait_for(lambda: "Dagster UI: http" in ui.out.read_text(), "the UI", 120)
    body = json.dumps({"query": "{assetNodes {assetKey {path}}}"}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json"})

    def keys() -> set[str]:
        with urllib.request.urlopen(request, timeout=30) as response:
            nodes = json.load(response)["data"]["assetNodes"]
        return {"/".join(node["assetKey"]["path"]) for node in nodes}

    orders.wait_for(
        lambda: {"raw/orders_created_v1", "analytics/orders", "marts/daily_orders"} <= keys(), "the graph", 60
    )
    ui.signal(signal.SIGINT)
    assert ui.wait(90).code == 0


def test_dg_accepts_the_definitions(orders: Bench) -> None:
    dg = Path(sys.executable).with_name("dg")
    done = subprocess.run([dg, "check", "defs"], cwd=builtin_root(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All definitions loaded successfully" in done.stdout + done.stderr
