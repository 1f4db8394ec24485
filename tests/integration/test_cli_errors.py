"""Wrong input ends with one clear message, its own exit code and no traceback."""

from __future__ import annotations

import base64
import gzip
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orderlake.contracts.registry import Registry
from orderlake.errors import InputError
from orderlake.lake.landing_tables import open_landing_tables
from orderlake.locations import local_path
from streaming.kafka import describe_topic, watermarks
from tests.integration.conftest import MAIN, TOPIC_FILE, Bench, Result, free_port

#: `produce orders` into the bench's topic, which has the contract of orders.created.v1 under another name.
PRODUCE_INTO_OWN = "import os, streaming.producers.orders as o; o.TOPIC = os.environ['TOPIC']; " + MAIN


def _end_of(bench: Bench) -> int:
    try:
        marks = watermarks(bench.settings, bench.topic, describe_topic(bench.settings, bench.topic).partitions)
    except InputError:
        return 0
    return sum(mark.high for mark in marks.values())


def refused(result: Result, code: int, *says: str) -> None:
    assert result.code == code, (result.code, result.out, result.err)
    assert result.err.startswith("error: ") or result.err.startswith("Usage: "), result.err
    assert result.err.count("error: ") <= 1, "one message"
    assert "Traceback" not in result.err
    for text in says:
        assert text in result.err, result.err


def test_broker_unreachable(bench: Bench) -> None:
    nowhere = {
        "ORDERLAKE_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
        "ORDERLAKE_KAFKA__TIMEOUT_SECONDS": "1",
    }
    for words in (("land", "--until-caught-up"), ("produce", "orders"), ("land",)):
        refused(bench.run(*words, **nowhere), 3, "no Kafka broker answers at 127.0.0.1", "remedy: ")


def test_own_broker_not_started(bench: Bench) -> None:
    environment = {
        "ORDERLAKE_KAFKA__BOOTSTRAP_SERVERS": "",
        "ORDERLAKE_KAFKA__PORT": str(free_port()),
        "ORDERLAKE_KAFKA__TIMEOUT_SECONDS": "1",
    }
    refused(bench.run("land", "--until-caught-up", **environment), 3, "remedy: start it: orderlake up kafka")


def test_topic_missing(bench: Bench) -> None:
    refused(
        bench.run("land", "--topic", bench.topic),
        2,
        f"the topic '{bench.topic}' does not exist",
        "remedy: produce into it",
    )


def test_unknown_topic(bench: Bench) -> None:
    result = bench.run("land", "--topic", "orders.create.v1")
    refused(
        result,
        2,
        "no contract describes the topic 'orders.create.v1'",
        "allowed: ",
        "did you mean 'orders.created.v1'?",
    )


def test_unknown_contract(bench: Bench) -> None:
    refused(
        bench.run("contract", "show", "nothing"), 2, "no contract describes the topic or table 'nothing'", "allowed: "
    )


def test_a_typing_mistake_inside_a_contract_property(bench: Bench, edit_contract: Callable[..., Path]) -> None:
    edit_contract(
        TOPIC_FILE,
        ("physicalName: orders.created.v1", f"physicalName: {bench.topic}"),
        ("maxLength: 64", "maxLenght: 64"),
    )
    lint = bench.run("contract", "lint")
    assert lint.code == 2
    assert "orders.created.v1.yaml:" in lint.out
    assert "did you mean 'maxLength'?" in lint.out
    refused(bench.run("land"), 2, "orders.created.v1.yaml", "'maxLenght' is not a key the standard knows here")


def test_a_contract_anywhere_is_linted_as_what_it_says_it_is(bench: Bench) -> None:
    text = (bench.paths[0] / "contracts" / TOPIC_FILE).read_text()
    (bench.folder / "draft.yaml").write_text(text)
    assert "1 contracts, 0 errors" in bench.ok("contract", "lint", "draft.yaml").out
    contradicting = bench.run("contract", "lint", "draft.yaml", "--kind", "table")
    assert (contradicting.code, "says 'table'" in contradicting.out) == (2, True)
    assert "enum: CREATED " in bench.ok("contract", "show", bench.topic).out


def test_corrupted_catalog(bench: Bench) -> None:
    bench.settings.home.mkdir(parents=True, exist_ok=True)
    (bench.settings.home / "catalog.db").write_bytes(b"this is no database" * 1000)
    for words in (("sql", "select 1"), ("status",), ("materialize",), ("quarantine", "list")):
        refused(
            bench.run(*words),
            3,
            "the Iceberg catalog",
            "cannot be opened",
            "remedy: if the file is damaged, put back a copy",
        )


def test_the_lake_is_a_file(bench: Bench) -> None:
    bench.settings.home.write_text("a file")
    for words in (("up",), ("down",), ("ui",), ("status",), ("sql", "select 1")):
        refused(bench.run(*words), 2, "the folder", "remedy: set ORDERLAKE_HOME to another folder")


def test_a_table_that_cannot_be_read(bench: Bench) -> None:
    contract = Registry(bench.settings.search_path).topic("orders.created.v1")
    raw, quarantine = open_landing_tables(bench.lake, contract)
    for table in (raw, quarantine):
        path = Path(local_path(table.metadata_location))
        path.write_bytes(path.read_bytes()[:100])
    for words, damaged in (
        (("sql", "from raw.orders_created_v1"), raw),
        (("status",), raw),
        (("materialize",), raw),
        (("quarantine", "list"), quarantine),
    ):
        fact = f"the table {'.'.join(damaged.name())} cannot be read: its metadata file"
        refused(bench.run(*words), 3, fact, local_path(damaged.metadata_location), "from a copy")
    doctor = bench.run("doctor")
    assert doctor.code == 1
    assert "error    catalog: the table quarantine.orders_created_v1 cannot be read" in doctor.out


@pytest.mark.parametrize("words", ["sql --csv 'from range(100000)'", "sql 'from range(100000)'", "--help", "status"])
@pytest.mark.parametrize("reader", ["head -1", "true"])
def test_whose_output_is_not_read_to_its_end(bench: Bench, words: str, reader: str) -> None:
    """orderlake ... | head ends quietly, and did nothing wrong."""
    command = f'"$PYTHON" -c "$MAIN" {words} | {reader}; exit "${{PIPESTATUS[0]}}"'
    environment = {
        **os.environ, "PYTHON": sys.executable, "MAIN": MAIN, "ORDERLAKE_HOME": str(bench.settings.home),
        "ORDERLAKE_KAFKA__BOOTSTRAP_SERVERS": bench.broker.bootstrap_servers,
    }  # fmt: skip
    done = subprocess.run(
        ["bash", "-c", command], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_env_file_of_other_tools_and_one_that_is_no_text(bench: Bench) -> None:
    env_file = bench.folder / ".env"
    env_file.write_text("HELLO=1\n")
    bench.ok("contract", "list")
    env_file.write_bytes(b"ORDERLAKE_HOME=\xff\n")
    refused(bench.run("contract", "list"), 2, ".env cannot be read", "save it as UTF-8")


def test_no_port_is_left_for_the_controller(bench: Bench) -> None:
    environment = {"ORDERLAKE_KAFKA__BOOTSTRAP_SERVERS": "", "ORDERLAKE_KAFKA__PORT": "65535"}
    refused(bench.run("up", **environment), 2, "ORDERLAKE_KAFKA__CONTROLLER_PORT is unset", "allowed: 1 to 65535")


def test_unknown_setting(bench: Bench) -> None:
    result = bench.run("contract", "list", ORDERLAKE_KAFKA__PROT="1")
    refused(
        result, 2, "ORDERLAKE_KAFKA__PROT in the environment is not a setting", "did you mean ORDERLAKE_KAFKA__PORT?"
    )


def test_port_taken(bench: Bench) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        environment = {"ORDERLAKE_KAFKA__BOOTSTRAP_SERVERS": "", "ORDERLAKE_KAFKA__PORT": str(port)}
        refused(
            bench.run("up", **environment),
            3,
            f"port {port}",
            "is taken by process",
            "set ORDERLAKE_KAFKA__PORT to a free port",
        )
        refused(bench.run("ui", ORDERLAKE_UI__PORT=str(port)), 3, f"port {port}", "set ORDERLAKE_UI__PORT")


def test_missing_file(bench: Bench) -> None:
    refused(bench.run("replay", "nowhere.jsonl", "--topic", bench.topic), 2, "there is no file nowhere.jsonl")


def test_truncated_gzip(bench: Bench) -> None:
    path = bench.folder / "orders.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"order_id": "1"}\n' * 10_000)[:-20])
    refused(bench.run("replay", str(path), "--topic", bench.topic), 2, "is damaged or cut off", "Nothing was sent")


def test_a_line_that_the_broker_does_not_accept_is_named_and_the_rest_is_sent(bench: Bench) -> None:
    lines = [b'{"order_id": "%d"}' % number for number in range(100)]
    lines[40] = base64.b64encode(random.randbytes(3_000_000))  # the broker compares what is left after compression
    lines[60] = b"x" * 60_000_000
    lines[70] = base64.b64encode(random.randbytes(750_000))
    (bench.folder / "orders.jsonl").write_bytes(b"\n".join(lines))
    result = bench.run("replay", "orders.jsonl", "--topic", bench.topic)
    refused(result, 1, "2 messages were not confirmed", "Message size too large", "orders.jsonl, lines 41, 61.")
    assert "98 messages confirmed" in result.out
    sent = bench.messages()
    assert len(sent) == 98, "once each"
    assert set(sent.values()) == {*lines[:40], *lines[41:60], *lines[61:]}


def test_ctrl_c_ends_producing_with_what_was_confirmed(bench: Bench) -> None:
    producing = bench.start(
        "produce", "orders", "--count", "100000", "--rate", "500", "--json", code=PRODUCE_INTO_OWN, TOPIC=bench.topic
    )
    bench.wait_for(lambda: _end_of(bench) > 20, "the first messages")
    producing.signal(signal.SIGINT)
    result = producing.wait(30)
    assert (result.code, result.err) == (130, "interrupted\n")
    assert result.json["interrupted"]
    assert result.json["confirmed"] == _end_of(bench)


def test_a_topic_without_contract_that_does_not_exist(bench: Bench) -> None:
    (bench.folder / "x.jsonl").write_text("{}\n")
    refused(bench.run("replay", "x.jsonl", "--topic", "nobody.knows"), 2, "neither exists nor has a contract")


@pytest.mark.parametrize("statement", ["selec 1", "select * from raw.nowhere", "select 1 +"])
def test_wrong_sql(bench: Bench, statement: str) -> None:
    refused(bench.run("sql", statement), 2, "DuckDB refused the statement")


def test_wrong_time_travel(bench: Bench) -> None:
    refused(
        bench.run("sql", "select 1", "--as-of", "yesterday"),
        2,
        "'yesterday' is neither a snapshot nor a time",
        "allowed: ",
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("materialize", "analytics.order"), "names no table that orderlake makes"),
        (("materialize", "--partition", "soon"), "is no partition"),
        (("materialize", "--partition", "2001-01-01"), "do not all exist"),
        (("materialize", "--recreate"), "needs to be told which"),
        (("land", "--flush", "often"), "is no age of a commit"),
        (("quarantine", "show", "--reason", "ugly"), "'ugly' is not a violation code"),
        (("up", "redis"), "'redis' is not a native service"),
        (("logs", "kafka"), "is not a native service of this lake"),
        (("logs", "kafka", "--lines", "0"), "0 is not in the range"),
        (("produce", "orders", "--dirty", "2"), "2.0 is not in the range of --dirty. allowed: 0 to 1"),
        (("produce", "orders", "--days", "nan"), "nan is not in the range of --days. allowed: 0 to 3,650,000"),
        (("produce", "orders", "--days", "1e12"), "is not in the range of --days"),
        (
            ("produce", "orders", "--rate", "nan"),
            "nan is not in the range of --rate. allowed: 0, or 0.001 to 10,000,000",
        ),
        (("produce", "orders", "--rate", "1e-300"), "1e-300 is not in the range of --rate"),
        (("produce", "orders", "--late", "nan"), "nan is not in the range of --late"),
        (("replay", "x", "--topic", "x", "--rate", "nan"), "nan is not in the range of --rate"),
        (("produce", "orders", "--start", "9999-12-31", "--days", "30"), "outside the calendar"),
        (("produce", "orders", "--start", "0001-01-01", "--late", "1"), "outside the calendar"),
        (("nonsense",), "No such command 'nonsense'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_arguments(bench: Bench, words: tuple[str, ...], says: str) -> None:
    result = bench.run(*words)
    assert result.code == 2
    assert says in " ".join(result.err.split())
    assert "Traceback" not in result.err


def test_every_command_has_help(bench: Bench) -> None:
    from orderlake.cli.main import cli

    def visit(command, path: tuple[str, ...]) -> None:
        assert command.help, path
        for parameter in command.params:
            assert parameter.param_type_name != "option" or parameter.help, (path, parameter.name)
        for name, child in getattr(command, "commands", {}).items():
            visit(child, (*path, name))

    visit(cli, ())
    assert "Exit codes" in bench.ok("--help").out
