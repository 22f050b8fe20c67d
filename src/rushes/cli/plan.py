"""`rushes plan`: what a recipe takes, on this machine or on named GPUs, and the smallest gain that it can see."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rushes.cli.show import Column, bytes_text, say, show_json, show_table, show_warnings, time_text
from rushes.execute.progress import duration_text

if TYPE_CHECKING:
    from rushes.plan.measured import Earlier
    from rushes.plan.plan import StagePlan
    from rushes.plan.prices import Prices
    from rushes.recipe.recipe import Recipe


@dataclass(frozen=True)
class Ways:
    """Where the times of a plan come from."""

    homes: tuple[Path, ...] = ()
    """Runs to take the pace from; empty for all in `runs/`."""
    gpus: tuple[str, ...] = ()
    """GPUs by name, for an estimate from arithmetic. A known real model gets this estimate anyway if no run gives the
    pace, since a trial would download the model."""
    calibrate: Callable[[Recipe], Prices] | None = None
    """Times a small batch of each kind of work for which no run gives the pace; None leaves it unknown."""
    check_first: bool = True
    """Check first that the recipe can work, on this machine where it is timed here."""


def show_plan(recipe_name: str, overrides: Sequence[str], ways: Ways, *, as_json: bool = False) -> None:
    """Print items, time, disk and memory per stage, and the smallest gain that the recipe can see.

    Args:
        recipe_name: a file or a packaged recipe.
        overrides: `a.b=value` each.
        ways: where the times come from.
        as_json: print JSON for programs.

    Raises:
        Unready: the recipe cannot work; on this machine, if it would be timed here.
    """
    from rushes.cli.detectable import show_detectable
    from rushes.store.recipe_copy import read_recipe

    recipe = read_recipe(recipe_name, overrides)
    earlier = None if ways.gpus or recipe.budget.gpu_hours is not None else _earlier(recipe, ways)
    trial = None if earlier is None else _trial(recipe, earlier, ways)
    if ways.check_first:
        _check_first(recipe, is_here=trial is not None)
    if earlier is None:
        from rushes.cli.gpu_plan import show_gpu_plan

        recipe = show_gpu_plan(recipe, ways.gpus, as_json=as_json)
    else:
        prices = earlier.prices if trial is None else earlier.prices.or_else(_tried(trial, recipe))
        _show_here(recipe, replace(earlier, prices=prices), as_json=as_json)
    if not as_json:
        _say_requests(recipe)
        show_detectable(recipe)


def _tried(trial: Callable[[Recipe], Prices], recipe: Recipe) -> Prices:
    """The trial, announced: it takes longer than all other commands that only tell something."""
    from rushes.plan.load import busy_words

    say(
        "no earlier run tells how fast this recipe is here: a few clips are generated, judged, measured and trained on "
        "first, which takes half a minute for the sandbox. Without a trial: --no-calibrate",
        file=sys.stderr,
    )
    busy = busy_words()
    if busy is not None:
        say(busy, file=sys.stderr)
    return trial(recipe)


def _say_requests(recipe: Recipe) -> None:
    """How often measuring calls chat models: on a server that costs money or hours, and no stage's time covers it."""
    from rushes.plan.chat_models import measuring_requests

    found = measuring_requests(recipe)
    if found:
        named = ", ".join(f"{each.num:,} to the {each.name} ({each.model})" for each in found)
        say(f"requests of the measurer, about: {named}")


def _earlier(recipe: Recipe, ways: Ways) -> Earlier | None:
    """What earlier runs tell; None for a released model that they do not price, so that arithmetic must."""
    from rushes.plan.measured import earlier_runs, measured_prices
    from rushes.plan.models import real_model
    from rushes.plan.prices import unknown_kinds

    found = measured_prices(recipe, ways.homes, earlier_runs(Path("runs")))
    return None if real_model(recipe) is not None and unknown_kinds(recipe, found.prices) else found


def _trial(recipe: Recipe, earlier: Earlier, ways: Ways) -> Callable[[Recipe], Prices] | None:
    """The trial, if earlier runs leave prices unknown."""
    from rushes.plan.prices import unknown_kinds

    return ways.calibrate if unknown_kinds(recipe, earlier.prices) else None


def _check_first(recipe: Recipe, *, is_here: bool) -> None:
    """Refuse what cannot work. Where nothing is tried on this machine, what it lacks is only told."""
    from rushes.preflight import found, found_in_recipe, found_on_machine

    findings = found_in_recipe(recipe)
    if is_here:
        show_warnings(found([*findings, *found_on_machine(recipe, Path("runs"))]))
        return
    show_warnings(found(findings))
    for each in found_on_machine(recipe, fetch=False):
        say(f"not ready on this machine: {each}", file=sys.stderr)


def _show_here(recipe: Recipe, earlier: Earlier, *, as_json: bool) -> None:
    from rushes.plan.plan import make_plan

    plan = make_plan(recipe, earlier.prices)
    if as_json:
        show_json([stage.as_json() for stage in plan])
        return
    _show_plan(plan)
    for reason in earlier.skipped:
        say(f"not used: {reason}")


def _show_plan(plan: Sequence[StagePlan]) -> None:
    from rushes.plan.plan import total_seconds

    seconds, all_known = total_seconds(plan)
    sizes = [stage.num_bytes for stage in plan]
    peaks = [stage.peak_bytes for stage in plan]
    known_peaks = [peak for peak in peaks if peak is not None]
    disk = bytes_text(sum(size for size in sizes if size is not None))
    rows = [
        (
            stage.stage,
            f"{stage.num_items}",
            stage.items,
            time_text(stage.seconds),
            bytes_text(stage.num_bytes),
            bytes_text(stage.peak_bytes),
            stage.source,
        )
        for stage in plan
    ]
    total = (
        "all",
        "",
        "",
        f"{'' if all_known else 'over '}{duration_text(seconds)}" if seconds or all_known else "?",
        f"{'over ' if None in sizes else ''}{disk}",
        f"{'over ' if None in peaks else ''}{bytes_text(max(known_peaks))}" if known_peaks else "?",
        "",
    )
    columns = [
        Column("stage"),
        Column("items", "right"),
        Column(""),
        Column("time", "right"),
        Column("disk", "right"),
        Column("memory", "right"),
        Column("time from"),
    ]
    show_table(columns, [*rows, total], total=True)
