"""A toy stage: prompts whose text depends on all companions of their chunk, as batched arithmetic does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rushes.records import Prompt
from rushes.roles import Failed
from rushes.store.advance import Work
from rushes.store.identity import seed_from_key, work_key
from rushes.store.run import Run


def make_work(num: int) -> list[Work[int]]:
    """`num` pieces of work with the numbers 0, 1, ... as payload."""
    return [Work(work_key("prompt", {"toy": 1}, index=i), i) for i in range(num)]


@dataclass
class ToyWriter:
    """Counts its calls; fails where it is told to."""

    failing: set[int] = field(default_factory=set[int])
    chunks: list[list[int]] = field(default_factory=list[list[int]])

    def __call__(self, chunk: Sequence[Work[int]]) -> list[Prompt | Failed]:
        self.chunks.append([piece.payload for piece in chunk])
        companions = sum(seed_from_key(piece.key) for piece in chunk)
        return [
            Failed("ToyError", f"no {piece.payload}")
            if piece.payload in self.failing
            else Prompt(
                key=piece.key,
                text=f"text {piece.payload} of {companions}",
                base_text="text",
                dimension="Composition",
                origin="weakness",
                index=piece.payload,
            )
            for piece in chunk
        ]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """An open run in a new folder."""
    with Run.open(tmp_path / "run", {"toy": 1}) as opened:
        yield opened


@pytest.fixture
def writer() -> ToyWriter:
    """A toy writer that never fails."""
    return ToyWriter()


@pytest.fixture
def work() -> list[Work[int]]:
    """Ten pieces of work."""
    return make_work(10)


@pytest.fixture
def toy_work() -> Callable[[int], list[Work[int]]]:
    """Makes that many pieces of work; the first ten are those of `work`."""
    return make_work


@pytest.fixture
def toy_writer() -> type[ToyWriter]:
    """The class, for tests that need several writers or failing ones."""
    return ToyWriter
