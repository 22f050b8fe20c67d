"""The progress of a stage, as a value and as one line; `rushes.execute.display` shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class ProgressUpdate:
    """The progress of a stage."""

    stage: str
    """Name of the stage."""
    num_total: int
    """Items in all."""
    num_before: int
    """Items that were done before this call and are not repeated."""
    num_done: int
    """Items done, those before included."""
    num_failed: int
    """Items that failed in this call or were abandoned; those that are tried again do not count yet."""
    elapsed_s: float
    """Seconds since this call began."""
    problem: str = ""
    """Why an item failed, on one line; empty if none did."""
    note: str = ""
    """What the items gave: the last loss, a mean score; empty where there is nothing to say."""
    during: str = ""
    """The stage of the run that it is part of, as `diagnose` is of clips and measurements; empty outside a run."""

    @property
    def label(self) -> str:
        """What is being done: "diagnose: clips"."""
        return f"{self.during}: {self.stage}" if self.during else self.stage

    @property
    def is_last(self) -> bool:
        """True when nothing is left to try."""
        return self.num_done + self.num_failed >= self.num_total

    @property
    def left_s(self) -> float | None:
        """Expected seconds to the end at the pace of this call; None before the first item is done."""
        num_now = self.num_done - self.num_before + self.num_failed
        if num_now <= 0:
            return None
        return self.elapsed_s / num_now * max(0, self.num_total - self.num_done - self.num_failed)


OnProgress = Callable[[ProgressUpdate], None]
"""Called after every finished chunk, and once before the first."""


def duration_text(seconds: float) -> str:
    """Seconds for people: "4 s", "3 min 20 s", "2 h 05 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def progress_line(update: ProgressUpdate) -> str:
    """One line for logs: "generate: clips 12/40, 1 failed, 30 s, 1 min 10 s left"."""
    words = [f"{update.label} {update.num_done}/{update.num_total}"]
    if update.num_before and update.num_before < update.num_total:
        words.append(f"{update.num_before} from before")
    if update.num_failed:
        words.append(f"{update.num_failed} failed")
    words.append(duration_text(update.elapsed_s))
    if update.left_s is not None and not update.is_last:
        words.append(f"{duration_text(update.left_s)} left")
    if update.note:
        words.append(update.note)
    if update.num_failed and update.problem:
        words.append(update.problem)
    return ", ".join(words)
