-- Orders and their value per day and currency.
--
-- grain:  one row per day and currency
-- key:    day, currency
-- inputs: analytics.orders
--
-- DuckDB divides decimals as doubles: their 53 bits hold cents exactly up to 90 trillion, so four places are safe.
select
    cast(event_time as date) as day,
    currency,
    count(*) as orders,
    count(distinct user_id) as customers,
    cast(sum(order_amount) as decimal(18, 2)) as amount,
    cast(round(sum(order_amount) / count(*), 4) as decimal(18, 4)) as average,
    max(order_amount) as largest
from analytics.orders
where
    event_time >= $window_start
    and event_time < $window_end
group by all
