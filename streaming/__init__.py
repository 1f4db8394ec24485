"""Kafka in and out: the lander, quarantine, replay, producers. No module here imports Dagster."""
