"""Commands for messages that broke their contract: list, show."""

from __future__ import annotations

import click

COMMANDS: tuple[click.Command, ...] = ()
