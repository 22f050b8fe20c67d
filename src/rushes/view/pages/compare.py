"""Compare: several runs, seeds, arms or checkpoints on the same held-out prompts, in a table and clip by clip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from rushes.display.svg import nice_ticks
from rushes.display.words import tones
from rushes.errors import RecipeError, UserError
from rushes.measure.pairs import DIVERSITY
from rushes.report.plots import gain_axis, gain_plot
from rushes.store.header import differing_paths
from rushes.store.identity import spec_part
from rushes.store.recipe_copy import recipe_of
from rushes.store.run import Run
from rushes.view.comparing import Gain, Side, sides_of, table
from rushes.view.held_out import Measured, measured, value_of
from rushes.view.pages.clips import whole
from rushes.view.studio import Studio

MOST_RUNS: Final = 16
PAGE_SIZE: Final = 12
"""Prompts whose clips are on one page."""


def routes(studio: Studio) -> list[BaseRoute]:
    """`/compare`."""

    def page(request: Request) -> Response:
        query = request.query_params
        all_runs = studio.shelf.runs()
        runs = [name for name in dict.fromkeys(query.getlist("run")) if name in all_runs][:MOST_RUNS]
        sides, clips, problems = _sides(studio, runs)
        wanted = set(query.getlist("side"))
        reference = next((each for each in sides if each.id == query.get("reference")), sides[0] if sides else None)
        others = [each for each in sides if each is not reference and (not wanted or each.id in wanted)]
        others = _apart_from(reference, others) if not wanted else others
        found = table(reference, others, _seeds(studio, others)) if reference is not None and others else {}
        begin, dimension = whole(request, "from", 0), query.get("dimension", "")
        rows = _clips(reference, others, clips, dimension) if reference is not None else []
        kept = [(name, value) for name, value in query.multi_items() if name != "from"]
        return studio.page(
            request,
            "compare.html.j2",
            labels={name: studio.shelf.label(home) for name, home in all_runs.items()},
            runs=runs,
            sides=sides,
            wanted={each.id for each in others},
            reference=reference,
            problems=problems,
            found={name: (gains, *_forest(gains)) for name, gains in found.items()},
            rows=rows[begin : begin + PAGE_SIZE],
            num=len(rows),
            begin=begin,
            page_size=PAGE_SIZE,
            dimension=dimension,
            dimensions=sorted({spot[0] for each in sides for spot in each.spots}),
            link=lambda at: "?" + urlencode([*kept, ("from", at)]),
        )

    return [Route("/compare", page)]


def _sides(studio: Studio, runs: Sequence[str]) -> tuple[list[Side], dict[str, Measured], list[str]]:
    sides: list[Side] = []
    clips: dict[str, Measured] = {}
    problems: list[str] = []
    for name in runs:
        home = studio.shelf.home(name)
        if home is None:
            continue

        def read(home: Any = home) -> Measured:
            with Run.view(home) as run:
                return measured(run)

        try:
            clips[name] = studio.kept.get(home, "measured", read)
        except UserError as error:
            problems.append(f"{studio.shelf.label(home)}: {error.problem}")
            continue
        own = sides_of(name, studio.shelf.label(home), clips[name])
        if not own:
            problems.append(f"{studio.shelf.label(home)}: nothing is measured on held-out prompts yet")
        sides += own
    return sides, clips, problems


def _apart_from(reference: Side | None, sides: Sequence[Side]) -> list[Side]:
    """Without the untouched models of other runs, where they are the reference again: the same measurements."""
    same = {each.key for each in reference.spots.values()} if reference is not None else set[str]()
    return [side for side in sides if not all(each.key in same for each in side.spots.values())]


def _seeds(studio: Studio, sides: Sequence[Side]) -> list[list[Side]]:
    """Sides of runs that differ in the seed alone, two or more together."""
    groups: list[list[Side]] = []
    specs = {side.run: _spec(studio, side.run) for side in sides}
    for side in sides:
        for group in groups:
            one, other = specs[group[0].run], specs[side.run]
            if side.run not in {each.run for each in group} and one is not None and other is not None:
                paths = [path for path in differing_paths(one, other) if path != "name"]
                if paths and all("seed" in path.split(".")[-1] for path in paths):
                    group.append(side)
                    break
        else:
            groups.append([side])
    return [group for group in groups if len(group) > 1]


def _spec(studio: Studio, name: str) -> dict[str, Any] | None:
    home = studio.shelf.home(name)
    try:
        return None if home is None else spec_part(recipe_of(home))
    except (RecipeError, UserError):
        return None


def _forest(gains: Sequence[Gain]) -> tuple[list[Markup], Markup]:
    """A plot for each gain on one axis, and the axis."""
    ends = [0.0, *(end for each in gains for end in (each.comparison.gain.low, each.comparison.gain.high))]
    ticks = nice_ticks(min(ends), max(ends))
    plots = [
        gain_plot(
            each.comparison.gain.value,
            each.comparison.gain.low,
            each.comparison.gain.high,
            ticks,
            tones[each.verdict],
            each.label,
        )
        for each in gains
    ]
    return plots, gain_axis(ticks)


def _clips(reference: Side, others: Sequence[Side], clips: dict[str, Measured], dimension: str) -> list[Any]:
    """Prompt by prompt, the clip of every side; those whose measurements differ most come first."""
    shown = [reference, *others]
    spots = {
        spot for spot in reference.spots if spot[0] != DIVERSITY and len(spot[2]) == 1 and dimension in ("", spot[0])
    }
    rows = []
    for spot in spots:
        cells = []
        for side in shown:
            each = side.spots.get(spot)
            clip = clips[side.run].clips[each.subject[0]] if each is not None else None
            cells.append((side, clip, None if each is None else value_of(each)))
        values = [value for _, _, value in cells if value is not None]
        if len(values) > 1 or len(shown) == 1:
            rows.append((max(values, default=0.0) - min(values, default=0.0), spot, cells, len(values)))
    # Prompts that all have come first: where a clip is missing there is less to compare.
    rows.sort(key=lambda row: (-row[3], -row[0], row[1]))
    return [row[:3] for row in rows]
