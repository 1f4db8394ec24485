"""The lake as a Dagster resource."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from orderlake.contracts.registry import Registry
from orderlake.lake.catalog import Lake
from orderlake.settings import Settings, load_settings


class LakeResource(dg.ConfigurableResource[None]):
    """Opens the lake of a folder.

    Attributes:
        home: the lake's folder (ORDERLAKE_HOME).
    """

    home: str

    def settings(self) -> Settings:
        """Return the settings of the run's process, for this lake."""
        return load_settings().model_copy(update={"home": Path(self.home)})

    def open(self) -> Lake:
        """Open the lake.

        Raises:
            CatalogError: the catalog cannot be opened.
        """
        return Lake.open(self.settings())

    def registry(self) -> Registry:
        """Return the contracts."""
        return Registry(self.settings().search_path)
