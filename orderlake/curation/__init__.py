"""Curation: SQL models over pinned inputs, audited on staged files, published day by day in one commit.

`models` reads the SQL, `staleness` tells which days of which table are out of date and why, `build` makes them:
`staging` runs a model into data files, `audit` checks exactly those files, `publish` makes them visible, `ledger`
keeps what was built from what. Dagster decides when; nothing here knows it.
"""
