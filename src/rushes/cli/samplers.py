"""`rushes tune-sampler`: sampler settings compared by the recipe's judge and by seconds a clip."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from rushes.cli.show import Column, say, show_table, show_warnings
from rushes.errors import InputError

if TYPE_CHECKING:
    from rushes.diagnose.samplers import Trial
    from rushes.records import SamplerSettings
    from rushes.statistics.resampling import Estimate


def show_samplers(
    recipe_name: str, home: Path | None, overrides: Sequence[str], tries: Sequence[str] | None, num_prompts: int
) -> None:
    """Generate and judge clips with each setting, and print the table; the same call resumes.

    Args:
        recipe_name: a file or a packaged recipe.
        home: where clips and answers are kept; None for `runs/<name of the recipe>-samplers`.
        overrides: `a.b=value` each.
        tries: changes of the sampler, as YAML mappings; None for a usual choice.
        num_prompts: how many probe prompts, about.

    Raises:
        UserError: a recipe, a setting or a folder that cannot be used.
        Stopped: Ctrl-C, and the current work is stored.
    """
    from rushes.cli.work import default_home
    from rushes.preflight import check
    from rushes.store.recipe_copy import read_recipe

    recipe = read_recipe(recipe_name, overrides)
    home = home or default_home(recipe.model_copy(update={"name": f"{recipe.name}-samplers"}))
    own = recipe.generate.sampler
    settings = None if tries is None else [own, *(_changed(own, each) for each in tries)]
    show_warnings(check(recipe, home))
    from rushes.diagnose.samplers import compare_samplers, usual_trials
    from rushes.execute.display import ProgressDisplay
    from rushes.families.folder import known_family
    from rushes.recipe.recipe import as_generating
    from rushes.store.events import EventLog

    settings = settings or list(usual_trials(own, known_family(as_generating(recipe).base)))
    say(f"run folder: {home}", file=sys.stderr)
    with ProgressDisplay(log=EventLog(home / "events.jsonl").write) as progress:
        trials = list(compare_samplers(recipe, home, settings, num_prompts, progress))
    _show(trials)


def _changed(sampler: SamplerSettings, text: str) -> SamplerSettings:
    """The sampler with changes.

    Raises:
        InputError: they are no settings of a sampler.
    """
    try:
        changes = yaml.safe_load(text)
        return type(sampler).model_validate({**sampler.model_dump(), **changes})
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise InputError(
            f"--try {text!r} gives no sampler: {str(error).splitlines()[0]}",
            expected="changes of generate.sampler as a mapping, such as {num_steps: 8} or {cache: {kind: taylorseer}}",
            got=text,
            next_step="see docs/sampling.md for the settings",
        ) from None


def _show(trials: Sequence[Trial]) -> None:
    """One row a setting: what is different from the first, seconds a clip, score, difference from the first."""
    first = trials[0]
    rows = [
        (
            _words(each.sampler, first.sampler),
            f"{each.seconds:.2f}",
            f"{first.seconds / each.seconds:.2f}" if each.seconds else "?",
            str(each.num_scored),
            _interval(each.score),
            "" if each is first else _interval(each.difference, signed=True),
        )
        for each in trials
    ]
    columns = [
        Column("setting"),
        Column("s a clip", "right"),
        Column("times as fast", "right"),
        Column("clips", "right"),
        Column("score", "right"),
        Column("difference", "right"),
    ]
    show_table(columns, rows)
    say("Points of 100 by the recipe's judge, with 95 % intervals. Differences: same prompts, same noise.")
    say("A setting without a clear difference may still be worse: more prompts (--prompts) narrow the interval.")


def _words(sampler: SamplerSettings, first: SamplerSettings) -> str:
    """The settings that differ from the first."""
    if sampler == first:
        return "as in the recipe"
    mine, others = sampler.model_dump(mode="json"), first.model_dump(mode="json")
    changed = {name: value for name, value in mine.items() if value != others[name]}
    words: str = yaml.safe_dump(changed, default_flow_style=True, sort_keys=False, width=1000)
    return words.strip()


def _interval(found: Estimate | None, *, signed: bool = False) -> str:
    if found is None:
        return "?"
    numbers = [f"{100 * each:{'+' if signed else ''}.1f}" for each in (found.value, found.low, found.high)]
    return f"{numbers[0]} ({numbers[1]} to {numbers[2]})"
