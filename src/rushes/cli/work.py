"""`run` and the stage commands: load the recipe, open the run folder, work with progress shown, say what came of it."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from rushes.specs import Recipe


def default_home(recipe: Recipe) -> Path:
    """`runs/<name of the recipe>`, whatever the name holds: it never leads out of `runs/`."""
    name = re.sub(r"[^\w.-]+", "-", recipe.name).strip(".-")
    return Path("runs") / (name or "run")


def work(
    recipe_name: str, home: Path | None, overrides: Sequence[str], *, until: str | None, allow_change: bool
) -> None:
    """Run a recipe, to the end or up to a stage; the same call resumes it.

    Args:
        recipe_name: a file or a packaged recipe.
        home: the run folder; None for `runs/<name of the recipe>`.
        overrides: `a.b=value` each.
        until: stage to stop after; None goes to the end.
        allow_change: accept a run folder that another recipe made.

    Raises:
        UserError: a recipe, an input or a run folder that cannot be used.
        Stopped: Ctrl-C, and the work in hand is stored.
    """
    from rushes.recipe import load_recipe

    recipe = load_recipe(recipe_name, overrides)
    home = home or default_home(recipe)
    # The pipeline is imported after the recipe is checked: a typo is told at once.
    from rushes.execute.progress import ProgressDisplay
    from rushes.pipeline import improve

    print(f"run folder: {home}", file=sys.stderr)
    with ProgressDisplay() as progress:
        scorecard = improve(recipe, home, until=until, on_progress=progress, allow_change=allow_change)
    if scorecard is None:
        print(f"done up to {until!r}; go on with: rushes run {recipe_name} --home {home}")
        return
    from rushes.cli.scorecard import show_scorecard

    show_scorecard(scorecard)
    report = home / "report.html"
    print(f"report: {report if report.exists() else f'rushes report {home}'}")
