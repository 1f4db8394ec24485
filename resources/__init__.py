"""Dagster resources: thin shells that open orderlake's own objects inside a run. No logic lives here."""
