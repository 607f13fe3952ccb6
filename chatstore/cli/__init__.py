"""The command `chatstore`: look into a store, move it, keep it in order."""

from chatstore.cli.program import main

__all__ = ["main"]
