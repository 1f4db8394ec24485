-- Created orders, each once: the first accepted copy of every event.
--
-- grain:  one row per event_id
-- key:    event_id
-- inputs: raw.orders_created_v1
--
-- Copies of an event have its event_time too, so they meet in one day and the window decides alone.
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
qualify row_number() over (partition by event_id order by _landed_at, _kafka_partition, _kafka_offset) = 1
