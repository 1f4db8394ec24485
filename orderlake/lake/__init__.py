"""Iceberg craft: the catalog, tables, the one commit path, data files, pinned reading.

Everything that lands or publishes rows goes through `commit`, which fences every attempt; everything that reads goes
through `pins`, which fixes a snapshot first. Nothing here knows Kafka or Dagster.
"""
