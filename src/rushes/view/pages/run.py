"""Run: the loop as it goes; curves with alarms; what failed and why; how the recipe differs from the packaged one."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from rushes.display.curves import meaning
from rushes.display.words import figure, readable
from rushes.errors import RecipeError, StoreError, resume_command
from rushes.recipe.load import load_recipe, packaged_recipes
from rushes.records import Focus
from rushes.report.claims import claims_of_run, verdict_word
from rushes.report.plots import gain_ticks, loss_curve, row_gain_plot, score_plot
from rushes.report.watch_plot import looks_plot
from rushes.report.watched import watched_round
from rushes.store.header import differing_paths
from rushes.store.identity import spec_part
from rushes.store.recipe_copy import RECIPE, recipe_of
from rushes.store.run import Run
from rushes.view.curves import BIN, Training, trainings
from rushes.view.studio import Studio, Tab
from rushes.view.summary import alarms, summary, watched

TAB: Final = Tab("", "Run")
MOST_EVENTS: Final = 200
"""Events on the page, the newest ones."""
MOST_FAILURES: Final = 50


def routes(studio: Studio) -> list[BaseRoute]:
    """`/run/NAME`."""

    def page(request: Request) -> Response:
        home, name = studio.home(request), request.path_params["name"]
        short = studio.kept.get(home, "summary", lambda: summary(name, studio.shelf.label(home), home))
        with studio.run(request) as run:
            looks = watched(run)
            found, failures = trainings(run), run.failures()
            return studio.page(
                request,
                "run.html.j2",
                run=short,
                resume=resume_command(home),
                focus=_derived(run, "focus"),
                said=claims_of_run(short.scorecard, home) if short.scorecard is not None else None,
                rows=_rows(short.scorecard),
                watch=[
                    (each, _panels(each)) for each in (watched_round(n, c) for n, c in enumerate(looks, 1) if c.points)
                ],
                trainings=[(each, _plots(each, [step for step, _ in alarms(looks)])) for each in found],
                differences=studio.kept.get(home, "differences", lambda: differences(run)),
                recipe=(home / RECIPE).read_text(encoding="utf-8", errors="replace")
                if (home / RECIPE).is_file()
                else "",
                failures=sorted(failures, key=lambda each: each.is_final)[:MOST_FAILURES],
                num_failures=len(failures),
                events=_events(deque(run.log.each(), maxlen=MOST_EVENTS)),
                has_report=(home / "report.html").is_file(),
            )

    return [Route("/run/{name}", page)]


def _derived(run: Run, name: str) -> Sequence[Focus]:
    try:
        return run.read_derived(name, Focus) or ()
    except StoreError:  # written just now, or damaged
        return ()


def _rows(scorecard: Any) -> list[tuple[Any, Markup, Markup, str]]:
    if scorecard is None or not scorecard.rows:
        return []
    ticks = gain_ticks(scorecard.rows)
    return [(row, score_plot(row), row_gain_plot(row, ticks), verdict_word(row, scorecard)) for row in scorecard.rows]


def _panels(found: Any) -> list[tuple[str, Markup]]:
    return [(panel.title, looks_plot(panel, found.best_step, found.last_step)) for panel in found.panels]


def _plots(training: Training, rang: Sequence[int]) -> list[tuple[str, str, Markup]]:
    """Name, meaning and plot of each curve, all on one axis of steps."""
    found = []
    for name, points in training.curves.items():
        if not name.startswith(BIN):
            steps, values = zip(*points, strict=True)
            plot = (
                loss_curve(steps, values, readable(name), alarms=rang, last_step=training.last_step)
                if len(steps) > 1
                else escape(f"{figure(values[0])} at step {steps[0]}, its only value so far")
            )
            found.append((readable(name), meaning(name), plot))
    return found


# ---------------------------------------------------------------------------------------------- recipe


@dataclass(frozen=True)
class Differences:
    """How a run's recipe differs from the packaged one that is nearest to it."""

    packaged: str
    """Name of that recipe; empty where the run's recipe cannot be read."""
    rows: Sequence[tuple[str, str, str]]
    """Setting, its value in the run, its value in the packaged recipe."""


def differences(run: Run) -> Differences:
    """Against the packaged recipe with the fewest other settings: a run does not keep which one it began with."""
    try:
        own = spec_part(recipe_of(run.home))
    except (RecipeError, StoreError):
        return Differences("", ())
    found: dict[str, tuple[list[str], Mapping[str, Any]]] = {}
    for name in packaged_recipes():
        try:
            other = spec_part(load_recipe(name))
        except RecipeError:
            continue
        found[name] = (list(differing_paths(other, own)), other)
    if not found:
        return Differences("", ())
    name = min(found, key=lambda each: len(found[each][0]))
    paths, other = found[name]
    return Differences(name, [(path, _value(own, path), _value(other, path)) for path in paths])


def _value(spec: Any, path: str) -> str:
    """A setting as one line; "not set" where there is none."""
    for step in path.split("."):
        if isinstance(spec, Mapping) and step in spec:
            spec = spec[step]
        elif isinstance(spec, Sequence) and not isinstance(spec, str) and step.isdigit() and int(step) < len(spec):
            spec = spec[int(step)]
        else:
            return "not set"
    text = spec if isinstance(spec, str) else json.dumps(spec, ensure_ascii=False)
    return text if len(text) <= 300 else f"{text[:300]} ..."


# ---------------------------------------------------------------------------------------------- events


def _events(events: Iterable[Mapping[str, Any]]) -> list[tuple[str, str, str, bool]]:
    """Time, name, the rest as text, and whether something failed; the newest first."""
    found = []
    for each in reversed(list(events)):
        rest = {name: value for name, value in each.items() if name not in ("at", "event") and value is not None}
        text = ", ".join(f"{readable(name)} {_short(value)}" for name, value in rest.items())
        at = str(each.get("at", ""))[:19].replace("T", " ")
        found.append((at, readable(each["event"]), text[:600], "failed" in each["event"] or bool(each.get("alarms"))))
    return found


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, str):
        return value[:12] if len(value) == 64 and value.isalnum() else value
    return json.dumps(value, ensure_ascii=False)
