"""Before and after: every held-out pair, synchronised, of all dimensions, aimed at or not; takes together as groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from rushes.measure.pairs import Pair
from rushes.records import Clip, Scored
from rushes.store.run import Run
from rushes.view.held_out import Measured, measured, value_of
from rushes.view.index import Index
from rushes.view.pages.clips import whole
from rushes.view.studio import Studio, Tab

TAB: Final = Tab("pairs", "Before and after")
PAGE_SIZE: Final = 24
SORTS: Final = {
    "gain": "largest gain first",
    "loss": "largest loss first",
    "apart": "judge and measurer furthest apart",
    "prompt": "prompt",
}
FATES: Final = {"better": "better", "worse": "worse", "same": "unchanged", "unscored": "not measured on both sides"}


@dataclass(frozen=True)
class Side:
    """One model's take of a pair, or its takes that were measured together."""

    clips: Sequence[Clip]
    measured: float | None
    judged: float | None
    """The judge's score; None without one, and for takes together."""
    wrong: Sequence[str]
    """What the measurer found to be not as expected."""
    reason: str
    """Why it is not measured."""


@dataclass(frozen=True)
class Row:
    """A pair as the page shows it."""

    dimension: str
    text: str
    takes: str
    """Which takes, from 1."""
    before: Side
    after: Side

    @property
    def gain(self) -> float | None:
        """By the measurer; None unless both sides are measured."""
        return _less(self.after.measured, self.before.measured)

    @property
    def judge_gain(self) -> float | None:
        """By the judge; None unless it scored both sides."""
        return _less(self.after.judged, self.before.judged)

    @property
    def apart(self) -> float | None:
        """By how much more the judge thinks that the clip got better than the measurer does."""
        return _less(self.judge_gain, self.gain)

    @property
    def fate(self) -> str:
        """One of `FATES`."""
        gain = self.gain
        return "unscored" if gain is None else "better" if gain > 0 else "worse" if gain < 0 else "same"


def routes(studio: Studio) -> list[BaseRoute]:
    """`/run/NAME/pairs`."""

    def page(request: Request) -> Response:
        home, query = studio.home(request), request.query_params
        index = studio.desk.index(home)
        progress = index.catch_up()

        def read() -> tuple[Measured, list[Row], frozenset[str]]:
            with Run.view(home) as run:
                found, scorecard = measured(run), run.scorecard()
                focus = frozenset(row.dimension for row in scorecard.rows if row.is_focus) if scorecard else frozenset()
                return found, _rows(found, index), focus

        found, rows, focus = studio.kept.get(home, f"pairs as of record {progress.num_read}", read)
        chosen = {name: query.get(name, "") for name in ("dimension", "fate", "text", "sort")}
        shown = _chosen(rows, chosen)
        begin = whole(request, "from", 0)
        return studio.page(
            request,
            "pairs.html.j2",
            found=found,
            is_whole=progress.is_whole,
            rows=shown[begin : begin + PAGE_SIZE],
            num=len(shown),
            num_all=len(rows),
            begin=begin,
            page_size=PAGE_SIZE,
            chosen=chosen,
            sorts=SORTS,
            fates=FATES,
            tally=_tally(rows),
            focus=focus,
            link=lambda at: "?" + urlencode({**{k: v for k, v in chosen.items() if v}, "from": at}),
        )

    return [Route("/run/{name}/pairs", page)]


def _rows(found: Measured, index: Index) -> list[Row]:
    if found.base is None or found.tuned is None:
        return []
    scores = dict(index.rows("SELECT key, score FROM clips WHERE used_for = 'held_out'"))
    return [_row(pair, found, scores) for pair in found.pairs(found.base, found.tuned)]


def _row(pair: Pair, found: Measured, scores: Mapping[str, float | None]) -> Row:
    sides = []
    for each in (pair.before, pair.after):
        clips = sorted((found.clips[key] for key in each.subject), key=lambda clip: clip.seed_index)
        outcome = each.outcome
        wrong = [part.name for part in outcome.parts if part.value < 0.5] if isinstance(outcome, Scored) else []
        judged = scores.get(clips[0].key) if len(clips) == 1 else None
        sides.append(Side(clips, value_of(each), judged, wrong, "" if isinstance(outcome, Scored) else outcome.reason))
    takes = ", ".join(str(index + 1) for index in pair.seed_indices)
    return Row(pair.dimension, found.prompts[pair.prompt_key].text, takes, *sides)


def _chosen(rows: Sequence[Row], chosen: Mapping[str, str]) -> list[Row]:
    words = chosen["text"].lower().split()
    found = [
        row
        for row in rows
        if chosen["dimension"] in ("", row.dimension)
        and chosen["fate"] in ("", row.fate)
        and all(word in row.text.lower() for word in words)
    ]
    by = {
        "gain": lambda row: (row.gain is None, -(row.gain or 0.0)),
        "loss": lambda row: (row.gain is None, row.gain or 0.0),
        "apart": lambda row: (row.apart is None, -abs(row.apart or 0.0)),
        "prompt": lambda row: (row.text, row.takes),
    }
    return sorted(found, key=by.get(chosen["sort"], by["gain"]))


def _tally(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    """Dimension -> how many pairs had which fate."""
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        of = found.setdefault(row.dimension, dict.fromkeys(FATES, 0))
        of[row.fate] += 1
    return dict(sorted(found.items()))


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other
