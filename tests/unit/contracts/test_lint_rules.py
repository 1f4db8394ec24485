"""A rule's query is refused for a column its own table has not, and never for one that may come from elsewhere."""

from __future__ import annotations

import pytest
import sqlglot

from orderlake.contracts.checks import bind_object
from orderlake.contracts.lint_rules import unknown_columns

COLUMNS = [
    "event_id",
    "event_time",
    "order_id",
    "user_id",
    "order_amount",
    "currency",
    "processed_at",
    "orders",
    "tags",
]

UNKNOWN = [
    "select count(*) from {object} where nope > 1",
    "select count(o.nope) from {object} o",
    "select count(*) from {object} as o join raw.x r on o.nope = r.id",
    "select count(*) from (select nope from {object})",
    "with a as (select nope from {object}) select count(*) from a",
    "select count(*) from analytics.orders where nope",
    "select (select count(nope) from {object}) - 1",
    "select count(*) from {object} where order_id in (select nope from {object})",
    "select count(*) from {object} group by nope",
    "select count(*) from {object} where lower(nope)='x'",
    "select count(*) from {object} union all select nope from {object}",
    "from {object} select count(nope)",
    "select sum(x) from (select nope as x from {object} where 1=1) t",
    "with a as (select nope from {object}) select count(*) from a join raw.z using (q)",
    "select count(distinct nope) filter (where currency='x') from {object}",
    'select count("Nope") from {object}',
    "select count(*) over (partition by nope) from {object}",
    "select count(*) from {object} a, {object} b where a.order_id=b.nope",
]
FINE = [
    "select count(*) from {object}",
    "select count(*) from {object} where ORDER_ID > 'a' and \"Currency\"='x'",
    "select count(*) from {object} o join raw.x r using (nope)",
    "select count(*) from {object} join raw.x on anything = order_id",
    "with a as (select 1 as z) select count(*) from a where z",
    "select count(*) from (select order_id as z from {object}) where z is null",
    "select order_amount*2 as z from {object} where z > 1",
    "select count(*) from {object} o where exists (select 1 from raw.x where x.nope = o.order_id and other = 1)",
    "select count(*) from raw.x r where exists (select 1 from {object} where order_id = id_of_r)",
    "select count(*) from {object}, unnest(tags) as t(tag) where tag = 1",
    "select len(list_filter(tags, x -> x > 1)) from {object}",
    "select len([x for x in tags if x > 1]) from {object}",
    "select order_amount.sub from {object}",
    "select count(audited) from {object}",
    "select count(*) from {object} as t(a,b) where a",
    "select count(*) from (pivot {object} on currency using sum(order_amount))",
    "select count(columns('x.*')) from {object}",
    "select count(*) from {object} where event_time >= $window_start and event_time < $window_end - interval 1 day",
    "select max(n) from (select count(*) n from {object} group by currency)",
    "select count(*) from {object} where date_trunc('day', event_time) = current_date",
    "select extract(year from event_time) from {object}",
    "select count(*) from raw.nothing where nope",
    "select count(*) from {object} qualify row_number() over (partition by order_id) > 1",
    "select * exclude (event_id) from {object}",
    "select count(*) from {object} as orders where orders.currency = 1",
    "select count(*) from {object} semi join raw.x on foo = bar",
    "select count(*) from {object} left join lateral (select order_id as k) on true where k=1",
    "select count(*) from {object} asof join raw.p using (order_id) where price > 1",
    "select sum(case when c > 1 then 1 end) from (select order_id, count(*) as c from {object} group by all)",
    "with audited2 as (from {object}) select count(nope) from audited2",
    "select count(*) from {object} positional join raw.x where foo",
    "select a.n from (select count(*) as n from {object}) a, (select 1 as z where z=1) b",
    "with recursive r as (select 1 as n union all select n+1 from r where n<3) select count(*) from r, {object} where n = 1",
    "select count(*) from {object} where user_id = user",
    "select any_value(o) from {object} o",
    "select count(*) from {object} where list_contains(tags, 'a') and tags[1] = 'x' order by 1",
    "select count(*) from read_parquet('x') where nope",
    "select count(*) from {object} tablesample 10% where currency = 'x'",
    "select struct_pack(a := order_id) from {object}",
    "select {'a': order_id} from {object}",
    "select count(*) from {object} where (order_id, currency) in (select k1, k2 from raw.x)",
    "select 1 where (select count(*) from {object}) > 0",
]


def found(query: str) -> list[str]:
    tree = sqlglot.parse_one(bind_object(query, "audited"), dialect="duckdb")
    return [name.lower() for name in unknown_columns(tree, "analytics.orders", COLUMNS)]


@pytest.mark.parametrize("query", UNKNOWN)
def test_a_column_that_the_table_has_not_is_found(query: str) -> None:
    assert set(found(query)) == {"nope"}


@pytest.mark.parametrize("query", FINE)
def test_what_may_come_from_elsewhere_is_no_mistake(query: str) -> None:
    assert found(query) == []
