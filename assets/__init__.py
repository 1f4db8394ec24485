"""Dagster assets: what exists, its checks, partitions, lineage and metadata. When and where is `orchestration`'s."""
