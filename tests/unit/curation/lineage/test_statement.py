"""What a statement's columns read, for every shape of SQL; and that DuckDB agrees when the inputs are changed."""

from __future__ import annotations

from typing import NamedTuple

import duckdb
import pytest
from sqlglot.errors import SqlglotError

from orderlake.curation.lineage.scopes import Relation
from orderlake.curation.lineage.statement import Statement
from orderlake.curation.lineage.values import Input

COLUMNS = {"raw.t": ("id", "grp", "Amount", "ts", "payload", "js"), "raw.u": ("id", "name")}
RELATIONS = {name: Relation({c.lower(): c for c in columns}, ("id",)) for name, columns in COLUMNS.items()}


class Shape(NamedTuple):
    """A statement, what each of its columns reads, and what decides over its rows."""

    sql: str
    reads: dict[str, str]
    rows: str = ""


SHAPES = {
    "star": Shape(
        "select * from raw.u where name > 'b'", {"id": "raw.u.id", "name": "raw.u.name"}, "raw.u.name filter"
    ),
    "from first": Shape("from raw.u", {"id": "raw.u.id", "name": "raw.u.name"}),
    "star exclude replace": Shape(
        "select * exclude (js, payload, grp, ts) replace (Amount * 2 as Amount) from raw.t",
        {"id": "raw.t.id", "amount": "raw.t.Amount transformation"},
    ),
    "alias used in the same select": Shape(
        "select Amount as a, a + 1 as b from raw.t where a > 2",
        {"a": "raw.t.Amount", "b": "raw.t.Amount transformation"},
        "raw.t.Amount filter",
    ),
    "quoted and in another case": Shape(
        'select "Amount" as "Total", AMOUNT as again from RAW.T as "T"',
        {"total": "raw.t.Amount", "again": "raw.t.Amount"},
    ),
    "chain of CTEs": Shape(
        "with a as (select id as key, Amount * 2 as twice from raw.t), b as (select key, twice from a where twice > 6) "
        "select key, sum(twice) as total from b group by key",
        {"key": "raw.t.id", "total": "raw.t.Amount aggregation"},
        "raw.t.id group_by, raw.t.Amount filter",
    ),
    "join using": Shape(
        "with a as (select * from raw.t) select id, name, Amount from a join raw.u using (id)",
        {"id": "raw.t.id transformation, raw.u.id transformation", "name": "raw.u.name", "amount": "raw.t.Amount"},
        "raw.t.id join, raw.u.id join",
    ),
    "anti join": Shape(
        "select a.id from raw.t as a anti join raw.u as b on a.id = b.id",
        {"id": "raw.t.id"},
        "raw.t.id join, raw.u.id join",
    ),
    "window dedupe": Shape(
        "select grp, Amount from raw.t qualify row_number() over (partition by grp order by ts, id) = 1",
        {"grp": "raw.t.grp", "amount": "raw.t.Amount"},
        "raw.t.grp filter, raw.t.ts filter, raw.t.id filter",
    ),
    "window functions": Shape(
        "select row_number() over w as n, lag(Amount) over (order by ts) as before, "
        "sum(Amount) over (partition by grp) as total from raw.t window w as (partition by grp order by ts)",
        {
            "n": "raw.t.id rows, raw.t.grp window, raw.t.ts window",
            "before": "raw.t.Amount aggregation, raw.t.ts window",
            "total": "raw.t.Amount aggregation, raw.t.grp window",
        },
    ),
    "aggregates": Shape(
        "select grp, count(*) as n, count(distinct id) as ids, sum(Amount) / count(*) as mean, arg_max(id, ts) as newest, "
        "list(id order by ts) as listed, count(*) filter (where Amount > 3) as large, quantile_cont(Amount, 0.5) as median "
        "from raw.t group by all having n > 1",
        {
            "grp": "raw.t.grp",
            "n": "raw.t.id rows",
            "ids": "raw.t.id aggregation",
            "mean": "raw.t.Amount aggregation, raw.t.id rows",
            "newest": "raw.t.id aggregation, raw.t.ts conditional",
            "listed": "raw.t.id aggregation, raw.t.ts window",
            "large": "raw.t.id rows, raw.t.Amount conditional",
            "median": "raw.t.Amount aggregation",
        },
        "raw.t.grp group_by",
    ),
    "within group": Shape(
        "select percentile_disc(0.5) within group (order by Amount) as middle from raw.t",
        {"middle": "raw.t.Amount aggregation"},
    ),
    "count of groups": Shape(
        "select count(*) as n from (select distinct grp from raw.t)", {"n": "raw.t.grp rows"}, "raw.t.grp group_by"
    ),
    "count of grouped rows": Shape(
        "select count(*) as n from (select grp, max(ts) as newest from raw.t group by grp)",
        {"n": "raw.t.grp rows"},
        "raw.t.grp group_by",
    ),
    "case": Shape(
        "select case when grp = 'a' then Amount else 0 end as a, case grp when 'a' then 'x' else 'y' end as b, "
        "if(id > 3, Amount, 1) as c, nullif(Amount, id) as d from raw.t",
        {
            "a": "raw.t.grp conditional, raw.t.Amount transformation",
            "b": "raw.t.grp conditional",
            "c": "raw.t.id conditional, raw.t.Amount transformation",
            "d": "raw.t.Amount transformation, raw.t.id conditional",
        },
    ),
    "union all": Shape(
        "select grp as word from raw.t union all select name from raw.u union all select 'none'",
        {"word": "raw.t.grp, raw.u.name"},
    ),
    "union by name": Shape(
        "select id, grp as word from raw.t union all by name select name as word, id from raw.u",
        {"id": "raw.t.id, raw.u.id", "word": "raw.t.grp, raw.u.name"},
    ),
    "except": Shape(
        "select id from raw.t except all select id from raw.u", {"id": "raw.t.id"}, "raw.u.id filter"
    ),
    "union": Shape(
        "select grp, Amount from raw.t union select name, id from raw.u",
        {"grp": "raw.t.grp, raw.u.name", "amount": "raw.t.Amount, raw.u.id"},
        "raw.t.grp group_by, raw.u.name group_by, raw.t.Amount group_by, raw.u.id group_by",
    ),
    "union of the largest": Shape(
        "select id, Amount from raw.t union all (select id, 0 from raw.u order by name limit 2) order by Amount, 1 limit 3",
        {"id": "raw.t.id, raw.u.id", "amount": "raw.t.Amount"},
        "raw.t.Amount sort, raw.t.id sort, raw.u.id sort, raw.u.name sort",
    ),
    "row in rows": Shape(
        "select Amount from raw.t where (id, grp) in (select id, name from raw.u) or id < 3",
        {"amount": "raw.t.Amount"},
        "raw.t.id filter, raw.t.grp filter, raw.u.id filter, raw.u.name filter",
    ),
    "limit": Shape("select Amount from raw.t order by ts limit 3", {"amount": "raw.t.Amount"}, "raw.t.ts sort"),
    "distinct on": Shape(
        "select distinct on (grp) grp, Amount from raw.t order by grp, ts limit 5",
        {"grp": "raw.t.grp", "amount": "raw.t.Amount"},
        "raw.t.grp group_by, raw.t.grp sort, raw.t.ts sort",
    ),
    "subqueries": Shape(
        "select (select max(name) from raw.u where u.id = t.id) as name, exists (from raw.u where u.id = t.id) as known, "
        "grp in (select name from raw.u) as named from raw.t as t where id in (select id from raw.u)",
        {
            "name": "raw.u.name aggregation, raw.u.id filter, raw.t.id filter",
            "known": "raw.u.id rows, raw.u.id filter, raw.t.id filter",
            "named": "raw.t.grp transformation, raw.u.name transformation",
        },
        "raw.t.id filter, raw.u.id filter",
    ),
    "derived table": Shape(
        "select x.word from (select grp as word, id from raw.t) as x where x.id > 2",
        {"word": "raw.t.grp"},
        "raw.t.id filter",
    ),
    "recursive": Shape(
        "with recursive r as (select id, 1 as n from raw.u union all select id + 10, n + 1 from r where n < 3) "
        "select id from r",
        {"id": "raw.u.id, raw.u.id transformation"},
    ),
    "struct path": Shape(
        "select payload.data.orderId as a, t.payload.data.orderId as b, raw.t.payload.data.orderId as c, "
        "payload['data']['orderId'] as d, struct_extract(payload, 'data').orderId as e, payload.data as whole from raw.t",
        dict.fromkeys("abcde", "raw.t.payload.data.orderId") | {"whole": "raw.t.payload.data"},
    ),
    "list path": Shape(
        "select payload.data.items[1].sku as first, payload.data.items[1:2] as two, i.item.qty as qty "
        "from raw.t, unnest(payload.data.items) as i(item)",
        {
            "first": "raw.t.payload.data.items[*].sku",
            "two": "raw.t.payload.data.items",
            "qty": "raw.t.payload.data.items[*].qty",
        },
    ),
    "unnest in the select": Shape(
        "select id, unnest(payload.data.items).sku as sku from raw.t",
        {"id": "raw.t.id", "sku": "raw.t.payload.data.items[*].sku"},
        "raw.t.payload.data.items join",
    ),
    "unnest in the from": Shape(
        "select t.id, n from raw.t, unnest(payload.data.items) with ordinality as i(item, n) where n > 1",
        {"id": "raw.t.id", "n": "raw.t.payload.data.items rows"},
        "raw.t.payload.data.items join, raw.t.payload.data.items filter",
    ),
    "lateral": Shape(
        "select t.id, l.word from raw.t as t, lateral (select t.grp || '!' as word) as l",
        {"id": "raw.t.id", "word": "raw.t.grp transformation"},
    ),
    "json path": Shape(
        "select js->>'$.a.b' as a, js->'$.a'->>'b' as b, json_extract_string(js, '$.list[0].c') as c, "
        "cast(js->'$.a' as json)->>'b' as d from raw.t",
        {
            "a": "raw.t.js.a.b",
            "b": "raw.t.js.a.b",
            "c": "raw.t.js.list[*].c",
            "d": "raw.t.js.a.b transformation",
        },
    ),
    "path through a CTE": Shape(
        "with c as (select payload.data as d, js->'$.a' as a, {'key': grp, 'n': Amount} as packed from raw.t) "
        "select d.orderId as o, a->>'b' as b, packed.key as k, packed from c",
        {
            "o": "raw.t.payload.data.orderId",
            "b": "raw.t.js.a.b",
            "k": "raw.t.grp",
            "packed": "raw.t.grp transformation, raw.t.Amount transformation",
        },
    ),
    "lambda": Shape(
        "select list_transform(payload.data.items, lambda x: x.sku) as skus from raw.t",
        {"skus": "raw.t.payload.data.items transformation"},
    ),
    "count beside unnest": Shape(
        "select count(*) as n from raw.t, unnest(payload.data.items) as i(item)",
        {"n": "raw.t.id rows, raw.t.payload.data.items rows"},
    ),
}  # fmt: skip


def said(inputs: tuple[Input, ...]) -> str:
    return ", ".join(str(i.ref) if i.kind == "identity" else f"{i.ref} {i.kind}" for i in inputs)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_what_columns_and_rows_depend_on(shape: Shape) -> None:
    statement = Statement(shape.sql, RELATIONS)
    found = {name: statement.reads(name) for name in shape.reads}
    assert {name: said(reads.inputs) for name, reads in found.items()} == shape.reads
    assert all(not reads.broken for reads in found.values())
    if shape.rows:
        assert set(said(statement.conditions()).split(", ")) == set(shape.rows.split(", "))


# ---------------------------------------------------------------------------------------------- DuckDB agrees

ITEMS = "[{'sku': 's' || id, 'qty': id}, {'sku': 'r' || id, 'qty': id * 2}]"
TABLES = {
    "raw.t": f"""select id, if(id % 3 = 0, 'a', 'b') as grp, cast((id * 7) % 5 + 1 as decimal(10, 2)) as "Amount",
        timestamp '2026-01-01' + interval 1 hour * ((id * 5) % 9) as ts,
        {{'data': {{'orderId': 'o' || id, 'items': {ITEMS}}}}} as payload,
        cast({{'a': {{'b': id}}, 'list': [{{'c': id * 3}}]}} as json) as js from range(1, 9) as r(id)""",
    "raw.u": "select id * 2 as id, chr(cast(96 + id as int)) as name from range(1, 5) as r(id)",
}
#: A column, or what is inside it; and the SQL that changes nothing else.
CHANGES = {
    ("raw.t", "id"): "id + 1",
    ("raw.t", "grp"): "if(id in (1, 4, 7), 'z', grp)",
    ("raw.t", "Amount"): "9 - Amount",
    ("raw.t", "ts"): "ts - interval 1 day * id * (id % 4)",
    ("raw.t", "payload.data.orderId"): "{'data': {'orderId': '!', 'items': payload.data.items}}",
    ("raw.t", "payload.data.items"): "{'data': {'orderId': payload.data.orderId, 'items': payload.data.items[2:2]}}",
    ("raw.t", "js.a.b"): "cast({'a': {'b': -1}, 'list': [{'c': id * 3}]} as json)",
    ("raw.t", "js.list"): "cast({'a': {'b': id}, 'list': [{'c': -1}]} as json)",
    ("raw.u", "id"): "id + 2",
    ("raw.u", "name"): "'aa'",
}


def run(sql: str, changed: tuple[str, str] | None = None) -> dict[str, list[str]]:
    """Return every output column's values, over the tables with one thing changed."""
    with duckdb.connect() as connection:
        connection.execute("create schema raw")
        for table, rows in TABLES.items():
            connection.execute(f"create table {table} as {rows}")
            if changed and changed[0] == table:
                column = changed[1].split(".")[0]
                connection.execute(
                    f'create or replace table {table} as select * replace ({CHANGES[changed]} as "{column}") from {table}'
                )
        result = connection.execute(sql)
        names = [d[0].lower() for d in result.description]
        rows = result.fetchall()
    return {name: sorted(str(row[i]) for row in rows) for i, name in enumerate(names)}


def covers(inputs: set[str], thing: str) -> bool:
    """Whether one of the inputs is the thing, is inside it, or contains it."""
    return any(f"{i}.".startswith(f"{thing}.") or f"{thing}.".startswith(f"{i}.") for i in inputs)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_what_changes_a_column_is_in_its_lineage(shape: Shape) -> None:
    statement = Statement(shape.sql, RELATIONS)
    filters = {str(i.ref).replace("[*]", "") for i in statement.conditions()}
    before = run(shape.sql)
    changes = 0
    for table, thing in CHANGES:
        after = run(shape.sql, (table, thing))
        for name in shape.reads:
            if before[name] != after[name]:
                changes += 1
                inputs = {str(i.ref).replace("[*]", "") for i in statement.reads(name).inputs}
                assert covers(inputs | filters, f"{table}.{thing}"), (
                    f"{thing} changes {name}, but is not in its lineage"
                )
    assert changes, "no change of the inputs reached the output: the data show nothing"


# ---------------------------------------------------------------------------------------------- what is not resolved


@pytest.mark.parametrize(
    ("expression", "only"),
    [
        ("'S1'", "'S1'"),
        ("null", "NULL"),
        ("current_timestamp", "CURRENT_TIMESTAMP"),
        ("now()", "NOW()"),
        ("uuid()", "UUID()"),
        ("$window_start", "$window_start"),
        ("1 + 1", "1"),
        ("(select 'x')", "'x'"),
    ],
)
def test_what_is_made_of_no_column_reads_nothing(expression: str, only: str) -> None:
    reads = Statement(f"select {expression} as x from raw.t", RELATIONS).reads("x")
    assert (reads.inputs, reads.broken, reads.constant) == ((), (), only)


def test_a_constant_is_found_through_a_cte_and_forgotten_beside_a_column() -> None:
    statement = Statement(
        "with c as (select 'x' as a, id from raw.t) select a, a || id as b, v.n from c, (values (1)) as v(n)", RELATIONS
    )
    assert statement.reads("a").constant == "'x'"
    assert statement.reads("n").constant == "1"
    assert said(statement.reads("b").inputs) == "raw.t.id transformation"


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("select coalesce(id, nowhere) as x from raw.t", "raw.t has no column nowhere"),
        ("select x from read_csv('f.csv')", "READ_CSV('f.csv')"),
        ("select count(*) as x from read_csv('f.csv')", "is no table with a contract"),
        ("select s.x from (select * from range(3)) as s", "no column x that can be followed"),
        ("select id from raw.t", "the statement returns no column x"),
    ],
)
def test_what_cannot_be_followed_is_said(sql: str, says: str) -> None:
    (broken,) = Statement(sql, RELATIONS).reads("x").broken
    assert says in broken


@pytest.mark.parametrize(
    "sql",
    [
        "select columns(*) as x from raw.t",
        "select t as x from raw.t as t",
        "select id || cast(t as varchar) as x from raw.t as t",
        "select {'a': id}.b as x from raw.t",
        "select a as x from raw.t pivot (sum(Amount) for grp in ('a', 'b'))",
        "select k.a as x from raw.u as k(a, b)",
        "(select id as x from raw.t)",
        "select x.x from raw.t, generate_series(1, id) as x(x)",
    ],
)
def test_what_is_not_supported_is_never_passed_over(sql: str) -> None:
    reads = Statement(sql, RELATIONS).reads("x")
    assert reads.broken or reads.constant


def test_a_name_that_cannot_be_resolved_is_refused() -> None:
    with pytest.raises(SqlglotError, match="nowhere"):
        Statement("select t.nowhere from raw.t as t", RELATIONS)
    with pytest.raises(SqlglotError, match="is not a SELECT"):
        Statement("pivot raw.t on grp using sum(Amount)", RELATIONS)
    with pytest.raises(SqlglotError, match="AssertionError: PIVOT"):
        Statement("select s.a as x from (pivot raw.t on grp using sum(Amount)) as s", RELATIONS)


def test_a_tree_that_cannot_be_walked_is_said_and_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(*_: object) -> None:
        raise KeyError("ifs")

    statement = Statement("select case when id > 1 then grp end as x, id from raw.t where id > 1", RELATIONS)
    monkeypatch.setattr("orderlake.curation.lineage.scopes.locate", stumble)
    assert statement.reads("x").broken == ("it cannot be followed: KeyError: 'ifs'",)
    assert statement.conditions() == ()


def test_a_column_knows_its_sql_and_its_line() -> None:
    statement = Statement("select\n  id,\n  -- twice\n  Amount * 2 as twice\nfrom raw.t", RELATIONS)
    assert (statement.expression("twice"), statement.line("twice")) == ("Amount * 2", 4)
    assert (statement.expression("id"), statement.line("id")) == ("id", 2)
