-- Created orders, each once: the first accepted copy of every event.
--
-- grain:  one row per event_id
-- key:    event_id
-- inputs: raw.orders_created_v1
--
-- Copies of an event have its event_time too, so they meet in one day. The day is named besides, so that a window of
-- many days gives what its days give one by one, whatever a producer does with its ids.
select
    event_id,
    event_time,
    order_id,
    user_id,
    order_amount,
    currency,
    order_status,
    _landed_at as processed_at
from raw.orders_created_v1
where
    event_time >= $window_start
    and event_time < $window_end
qualify row_number() over (
    partition by event_id, cast(event_time as date)
    order by _landed_at, _kafka_partition, _kafka_offset
) = 1
