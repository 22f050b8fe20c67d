"""The command line: `rushes`. Each command is a thin call into the library; nothing heavy is imported before."""

from rushes.cli.main import main

__all__ = ["main"]
