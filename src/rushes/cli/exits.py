"""Exit codes of the command line."""

from __future__ import annotations

from typing import Final

EXIT_USER_ERROR: Final = 2
"""Exit code for errors that the user can fix, wrong options and arguments included."""
EXIT_STOPPED: Final = 130
"""Exit code after Ctrl-C, as shells expect."""
EXIT_UNREAD: Final = 141
"""Exit code where the output is read no further (`| head`): what shells report of a program that a broken pipe ends."""
