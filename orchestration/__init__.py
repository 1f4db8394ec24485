"""Orchestration: when, where and how strictly. Definitions, runs from the command line."""
