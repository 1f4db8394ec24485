"""Servers and deployment: native servers, engine configuration, Dagster's instance file."""
