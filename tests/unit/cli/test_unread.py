"""Output that is read no further (`rushes ... | head`): the command ends without a word."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("words", [["--version"], ["init", "-"], ["recipes"]])
def test_output_that_nobody_reads_ends_a_command_without_a_traceback(words: list[str]) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    try:
        # Buffered, as Python is where nobody sets PYTHONUNBUFFERED: what is left is then written at the very end.
        buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        command = [sys.executable, "-m", "rushes", *words]
        done = subprocess.run(
            command, stdout=writes, stderr=subprocess.PIPE, text=True, env=buffered, timeout=300, check=False
        )
    finally:
        os.close(writes)
    assert (done.returncode, done.stderr) == (141, "")
