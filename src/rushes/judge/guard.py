"""Runs one command and ends it, with everything it started, when the process that asked for it says so or is gone.

Started by its path, with a pipe whose other end only the asking process holds: a byte in it asks to end the command;
its end means that the asking process is gone, SIGKILL included. It knows nothing of Rushes and uses only the standard
library.

    python guard.py PIPE FOLDER COMMAND ...
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import threading


def main(pipe: int, folder: str, command: list[str]) -> int:
    """The command's exit status; the command has a process group of its own.

    Args:
        pipe: see above, a file descriptor.
        folder: removed if the asking process is gone; the clips in it are copies.
        command: what to run, with the standard streams of this process.
    """
    try:
        process = subprocess.Popen(command, start_new_session=True)
    except OSError as error:
        print(f"{command[0]} cannot be started: {error}", file=sys.stderr)
        return 127
    watch = threading.Thread(target=_watch, args=(pipe, folder, process.pid), daemon=True)
    watch.start()
    status = process.wait()
    if select.select([pipe], [], [], 0)[0]:
        watch.join()  # the asking process is gone, and the command ended by itself: the folder is still to go
    _end(process.pid)
    if status < 0:  # end as it ended, so that the signal can be told
        os.kill(os.getpid(), -status)
    return status


def _watch(pipe: int, folder: str, group: int) -> None:
    if not os.read(pipe, 1):
        shutil.rmtree(folder, ignore_errors=True)
    _end(group)


def _end(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nothing of it is left
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
