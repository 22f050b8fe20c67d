"""Samples that the Generate page asked for: one at a time, each in a process of its own, `rushes sample`.

A process of its own keeps torch out of the server, gives the memory back, and holds the run's lock while it works.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from rushes.plain import safe

State = Literal["waiting", "working", "done", "failed", "stopped"]
MOST_WAITING: Final = 50
"""Requests that may wait at once."""
_KEPT: Final = 100
"""Requests that are remembered."""
_PROGRESS: Final = re.compile(r"sampled_clips (\d+)/(\d+)")
_END_S: Final = 20.0
"""How long a process may take to finish its clip when the server ends, seconds."""


@dataclass(frozen=True)
class Wish:
    """What somebody asked for.

    Example: `Wish(Path("runs/a"), ("a red circle",), num_seeds=3, first_seed=0, checkpoint=None, strength=1.0)`.
    """

    home: Path
    texts: tuple[str, ...]
    num_seeds: int
    first_seed: int
    checkpoint: str | None
    """Its key, `base`, or None for the run's result."""
    strength: float

    def words(self) -> list[str]:
        """The command. What people typed stands behind `--`, where nothing is read as an option."""
        chosen = [] if self.checkpoint is None else ["--checkpoint", self.checkpoint]
        numbers = ["--seeds", self.num_seeds, "--first-seed", self.first_seed, "--strength", self.strength]
        options = ["--json", *map(str, numbers), *chosen]
        return [sys.executable, "-m", "rushes", "sample", *options, "--", str(self.home), *self.texts]


@dataclass(frozen=True)
class Job:
    """A wish and what became of it."""

    number: int
    """From 1, in the order of asking."""
    wish: Wish
    state: State = "waiting"
    message: str = ""
    """Why it failed."""
    num_done: int = 0
    """Clips that are there, of `num_total`; told by the process from time to time."""
    num_total: int | None = None
    """Clips in all; None until the process has said so."""


@dataclass(eq=False)
class Queue:
    """All wishes of a server. Safe to use from several threads."""

    _lock: threading.Condition = field(default_factory=threading.Condition)
    _jobs: dict[int, Job] = field(default_factory=dict[int, Job])
    _waiting: deque[int] = field(default_factory=deque[int])
    _process: subprocess.Popen[str] | None = None
    _worker: threading.Thread | None = None
    _is_closed: bool = False
    _num: int = 0
    version: int = 0
    """Another number after every change."""

    def add(self, wish: Wish) -> Job | None:
        """Ask for samples; None if too many wait already, or the server ends."""
        with self._lock:
            if len(self._waiting) >= MOST_WAITING or self._is_closed:
                return None
            self._num += 1
            job = Job(self._num, wish)
            self._put(job)
            self._waiting.append(job.number)
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="samples", daemon=True)
                self._worker.start()
            self._lock.notify_all()
            return job

    def jobs(self, home: Path) -> list[Job]:
        """Those of a run, the newest first."""
        with self._lock:
            return [job for job in reversed(self._jobs.values()) if job.wish.home == home]

    def stop(self, home: Path, number: int) -> bool:
        """Stop one, after the clip it is at; False if there is nothing to stop."""
        with self._lock:
            job = self._jobs.get(number)
            if job is None or job.wish.home != home:
                return False
            if job.state == "waiting":
                self._waiting.remove(number)
                self._put(job, state="stopped")
                return True
            if job.state != "working" or self._process is None:
                return False
            self._process.terminate()
            self._put(job, message="stopping")
            return True

    def close(self) -> None:
        """Stop everything, and wait for the process to end."""
        with self._lock:
            self._is_closed = True
            self._waiting.clear()
            process, worker = self._process, self._worker
            self._lock.notify_all()
        if process is not None:
            process.terminate()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
        if worker is not None:
            worker.join(_END_S)

    def _put(self, job: Job, **changes: object) -> Job:
        """Remember a job as it is now; the lock is held."""
        job = Job(**{**job.__dict__, **changes})
        self._jobs[job.number] = job
        while len(self._jobs) > _KEPT:
            self._jobs.pop(next(iter(self._jobs)))
        self.version += 1
        return job

    def _work(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._waiting or self._is_closed)
                if self._is_closed:
                    return
                job = self._put(self._jobs[self._waiting.popleft()], state="working")
                try:
                    self._process = _started(job.wish.words())
                except OSError as error:
                    self._put(job, state="failed", message=f"it could not be started: {error.strerror}")
                    continue
            self._follow(job, self._process)

    def _follow(self, job: Job, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        said: deque[str] = deque(maxlen=40)
        for line in process.stderr:
            said.append(line)
            found = _PROGRESS.search(line)
            if found is not None:
                with self._lock:
                    job = self._put(self._jobs[job.number], num_done=int(found[1]), num_total=int(found[2]))
        process.stderr.close()
        status = process.wait()
        state: State = "done" if status == 0 else "stopped" if status in (130, -15) else "failed"
        with self._lock:
            self._process = None
            message = _reason(list(said)) if state == "failed" else ""
            self._put(self._jobs[job.number], state=state, message=message)


def _started(words: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace"
    )


def _reason(lines: Sequence[str]) -> str:
    """The error that a process printed, without what it printed before."""
    for place, line in enumerate(lines):
        if line.startswith("error: "):
            return safe("".join(lines[place:]).removeprefix("error: ").strip()[:1500])
    return safe("".join(lines[-3:]).strip()[:500]) or "it ended without saying why"
