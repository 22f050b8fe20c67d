"""A reward server as a child process: one line of JSON to its standard input, one line from its standard output.

It runs under `rushes.judge.guard`, so that it never outlives this process. What it writes to its standard error is
read all the time, so that it cannot block, and its end is kept for error messages.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import signal
import subprocess
import sys
import time
import weakref
from typing import IO, Final

from rushes import known_keys
from rushes.judge import guard
from rushes.judge.talk import MAX_REPLY_BYTES, SHOWN, said
from rushes.recipe.runtime import RewardRuntime

KEPT_BYTES: Final = 8192
"""How much of the end of the standard error is kept."""
_LAST_LINES: Final = 3
_PIECE: Final = 65536
_LOOK_S: Final = 1.0
"""How often it is looked at whether it still runs."""
_END_S: Final = 5.0
"""How long the process may take to end by itself after its standard input was closed."""
_END: Final = b"."
"""What asks the guard to end the server."""
_NOT_PASSED: Final = frozenset({"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"})
"""Variables of this Python environment: the server has its own."""


class NoReply(Exception):
    """A request without a reply: the server ended, hangs, or sends too much. The message says which."""


class Child:
    """A running server.

    Args:
        runtime: its command and limits.
        folder: where clips are written for it; removed if this process dies.

    Raises:
        NoReply: the command cannot be started.
    """

    def __init__(self, runtime: RewardRuntime, folder: str) -> None:
        command = shlex.split(runtime.command or "")
        watched, held = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", guard.__file__, str(watched), folder, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                pass_fds=(watched,),
                start_new_session=True,
                env=_environment(runtime.pass_keys),
            )
        except OSError as error:
            os.close(held)
            raise NoReply(f"it cannot be started: {error}") from error
        finally:
            os.close(watched)
        self._unread = bytearray()
        self._errors = bytearray()
        self._stdin, self._stdout, self._stderr = (each.fileno() for each in _streams(self._process))
        for stream in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(stream, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)
        self._selector.register(self._stderr, selectors.EVENT_READ)
        self._held = held
        self.close = weakref.finalize(self, _end, self._process, self._selector, held)
        """End the process, with everything it started; also called when this object or this process ends."""

    def exchange(self, line: bytes, timeout_s: float) -> bytes:
        """Send one line and wait for the next one.

        Args:
            line: without a line break.
            timeout_s: longest wait, seconds.

        Raises:
            NoReply: there is none. The process is ended: a late reply would be taken for that of the next request.
        """
        try:
            return self._exchange(line + b"\n", time.monotonic() + timeout_s, timeout_s)
        except BaseException:  # Ctrl-C too leaves the reply in the pipe
            with contextlib.suppress(BrokenPipeError):
                os.write(self._held, _END)  # it is at fault: no time to end by itself
            self.close()
            raise

    def _exchange(self, unsent: bytes, end: float, timeout_s: float) -> bytes:
        self._selector.register(self._stdin, selectors.EVENT_WRITE)
        while b"\n" not in self._unread:
            if (left := end - time.monotonic()) <= 0:
                raise NoReply(f"no reply within {timeout_s:g} s")
            ready = self._selector.select(min(left, _LOOK_S))
            if not ready and self._process.poll() is not None:
                raise NoReply(self._ended())  # something that it started keeps its standard output open
            for key, _ in ready:
                if key.fd == self._stdin:
                    unsent = self._send(unsent)
                elif key.fd == self._stderr:
                    self._keep_errors()
                else:
                    self._read()
        if unsent:
            raise NoReply("it replied before the request was sent")
        line, _, rest = bytes(self._unread).partition(b"\n")
        if rest:
            raise NoReply(f"it wrote more than one line as a reply: {said(rest[:80].decode('utf-8', 'replace'))}")
        self._unread.clear()
        return line

    def _send(self, unsent: bytes) -> bytes:
        """What is still to be sent."""
        try:
            unsent = unsent[os.write(self._stdin, unsent) :]
        except BrokenPipeError:
            unsent = b""  # that it ended is seen at its standard output
        if not unsent:
            self._selector.unregister(self._stdin)
        return unsent

    def _read(self) -> None:
        piece = os.read(self._stdout, _PIECE)
        if not piece:
            raise NoReply(self._ended())
        self._unread += piece
        if len(self._unread) > MAX_REPLY_BYTES:
            raise NoReply(f"its reply is longer than {MAX_REPLY_BYTES // 2**20} MiB")

    def _keep_errors(self) -> bool:
        """Read a piece of its standard error; False at its end."""
        piece = os.read(self._stderr, _PIECE)
        if not piece:
            self._selector.unregister(self._stderr)
        self._errors = (self._errors + piece)[-KEPT_BYTES:]
        return bool(piece)

    def _ended(self) -> str:
        """How it ended; takes what is left of its standard error first, in which it may say why."""
        end = time.monotonic() + _END_S
        while self._stderr in self._selector.get_map() and time.monotonic() < end:
            if not any(key.fd == self._stderr and self._keep_errors() for key, _ in self._selector.select(_LOOK_S)):
                break
        try:
            status = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            return "it closed its standard output"
        if status == 0:
            return "it ended (exit status 0)"
        how = signal.Signals(-status).name if -status in set(signal.Signals) else f"exit status {status}"
        return f"it died ({how})"

    @property
    def last_words(self) -> str:
        """The end of its standard error: the last lines that say something, fit to be shown."""
        lines = [line.strip() for line in self._errors.decode("utf-8", "replace").splitlines()]
        return said(" | ".join([line for line in lines if line][-_LAST_LINES:])[-SHOWN:])


def _environment(pass_keys: tuple[str, ...]) -> dict[str, str]:
    """This process's variables without its keys and its Python environment."""
    withheld = known_keys.names() - set(pass_keys)
    return {name: value for name, value in os.environ.items() if name not in _NOT_PASSED | withheld}


def _end(process: subprocess.Popen[bytes], selector: selectors.BaseSelector, held: int) -> None:
    """Ask the server to end by closing its standard input; then let the guard end it with everything it started."""
    selector.close()
    for stream in _streams(process):
        stream.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_END_S)
    with contextlib.suppress(BrokenPipeError):  # the guard has ended
        os.write(held, _END)
    os.close(held)
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _streams(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    """Its standard input, output and error."""
    assert process.stdin and process.stdout and process.stderr
    return process.stdin, process.stdout, process.stderr
