"""The command line: `rushes`. Every command is a thin call into the library; nothing heavy is imported before it runs."""

from rushes.cli.main import main

__all__ = ["main"]
