"""The command line: each command of `rushes` is a thin call into the library, with heavy imports deferred until needed.

It stands above everything, and nothing may import it.
"""

from rushes.cli.main import main

__all__ = ["main"]
