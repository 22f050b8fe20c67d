"""How soon the studio shows a run of many clips, and what memory it takes: first page, next page, rows, search.

    .venv/bin/python benchmarks/view.py [number of clips ...]

The server is a process of its own, started anew for each size; its memory is the highest resident set that it had.
"""

from __future__ import annotations

import http.cookiejar
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tests.support.made_run import make_run  # noqa: E402
from tests.support.studio import address  # noqa: E402


def main() -> None:
    """Measure each size that was asked for."""
    sizes = [int(each) for each in sys.argv[1:]] or [500, 5_000]
    titles = ("first page", "all read", "CPU until then")
    print(f"{'clips':>8}  {titles[0]:>10}  {titles[1]:>10}  {titles[2]:>14}  {'rows':>8}  {'search':>8}  {'memory':>8}")
    for num in sizes:
        with TemporaryDirectory() as folder:
            home = make_run(Path(folder) / "run", num_prompts=max(1, num // 4), num_takes=4)
            print(line(num, home), flush=True)


def line(num: int, home: Path) -> str:
    """The measurements of one size."""
    command = [sys.executable, "-m", "rushes", "view", str(home), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        link = re.sub(r"^studio: ", "", server.stdout.readline()).strip()
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        base = link.partition("/?")[0]
        # The list of runs is what a person sees first, and is not part of the first page of clips.
        opener.open(link).read()

        def asked(path: str) -> tuple[float, bytes]:
            begun = time.perf_counter()
            answer: bytes = opener.open(base + address(home, path)).read()
            return time.perf_counter() - begun, answer

        begun, spent = time.perf_counter(), cpu_s(server.pid)
        first, _ = asked("clips")
        while not json.loads(asked("clips/rows?limit=0")[1])["is_whole"]:
            pass
        whole, spent = time.perf_counter() - begun, cpu_s(server.pid) - spent
        rows, search = (asked(path)[0] for path in ("clips/rows?sort=best&limit=100", "clips?text=number+7"))
        status = Path(f"/proc/{server.pid}/status")
        peak = re.search(r"VmHWM:\s+(\d+)", status.read_text()) if status.exists() else None
        server.terminate()
    memory = f"{int(peak[1]) / 1024:.0f} MB" if peak else "unknown"
    return (
        f"{num:>8}  {first:>8.2f} s  {whole:>8.2f} s  {spent:>12.2f} s  {rows:>6.2f} s  {search:>6.2f} s  {memory:>8}"
    )


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, seconds; what other programs do on the machine does not change it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
