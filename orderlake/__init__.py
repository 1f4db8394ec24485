"""orderlake: an order and fulfilment lakehouse.

The library behind the command `orderlake`. No module here imports Dagster: the lander, the SQL shell and
every later service must start fast and run where Dagster is not installed. Dagster code lives in the top-level
packages `resources`, `assets` and `orchestration`.
"""

__version__ = "0.1.0"
