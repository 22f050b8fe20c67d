"""`run` and the stage commands: load the recipe, open the run folder, run with progress shown, print the result."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rushes.cli.show import say
from rushes.errors import StoreError, Unfinished, command, resume_command
from rushes.recipe.recipe import Recipe
from rushes.records import Scorecard

REPORT_FILE: Final = "report.html"


def default_home(recipe: Recipe) -> Path:
    """`runs/<name of the recipe>`, whatever the name holds: it never leads out of `runs/`."""
    return Path("runs") / recipe.folder_name


@dataclass(frozen=True)
class How:
    """How a recipe is run."""

    until: str | None = None
    """Stage to stop after; None goes to the end."""
    num_processes: int | None = None
    """Number of training processes; None for the recipe's or the launcher's."""
    allow_change: bool = False
    """Accept a run folder that another recipe made."""
    check_first: bool = True
    """Check first that the run can work here."""

    @property
    def words(self) -> list[str]:
        """The options that a command which goes on from here needs too; an accepted change is accepted by now."""
        several = [] if self.num_processes is None else ["--num-processes", str(self.num_processes)]
        return several + ([] if self.check_first else ["--no-check"])


def work(recipe_name: str, home: Path | None, overrides: Sequence[str], how: How) -> None:
    """Run a recipe, to the end or up to a stage; the same call resumes.

    If a launcher (`accelerate launch`, `torchrun`) started this process as one of several, the first one runs the
    recipe, and the others only take part in training.

    Args:
        recipe_name: a file or a packaged recipe.
        home: the run folder; None for `runs/<name of the recipe>`.
        overrides: `a.b=value` each.
        how: up to which stage, on how many processes, and what is allowed.

    Raises:
        UserError: a recipe, an input or a run folder that cannot be used.
        Unfinished: the run came to its end, but without work that should be tried again.
        Stopped: Ctrl-C, and the current work is stored.
    """
    from rushes.cli.several import assisting, check_sharing, dismiss_others, sharing
    from rushes.store.recipe_copy import read_recipe

    if assisting():
        return
    recipe = _within_budget(read_recipe(recipe_name, [*overrides, *sharing(how.num_processes)]))
    check_sharing(recipe.runtime.train.num_processes)
    home = home or default_home(recipe)
    if how.check_first:
        _check_first(recipe, home, allow_change=how.allow_change)
    # The pipeline is imported after the recipe is checked, so that a typo is reported at once.
    from rushes.execute.display import ProgressDisplay
    from rushes.pipeline import improve
    from rushes.store.events import EventLog

    say(f"run folder: {home}", file=sys.stderr)
    with ProgressDisplay(log=EventLog(home / "events.jsonl").write) as progress:
        scorecard = improve(
            recipe, home, until=how.until, on_progress=progress, allow_change=how.allow_change, check_first=False
        )
    dismiss_others()
    if scorecard is None and how.until is None:
        wrote = command("export", "lora" if recipe.train.lora is not None else "transformer", home)
        say(f"trained; nothing is measured, since measure.num_prompts is 0. Export the weights with: {wrote}")
        return
    if scorecard is None:
        sets = [word for each in overrides for word in ("--set", each)]
        again = command("run", recipe_name, *sets, "--home", home, *how.words)
        say(f"done up to {how.until!r}; continue with: {again}")
        return
    show_result(scorecard, home)
    _check_finished(scorecard)


def _check_finished(scorecard: Scorecard) -> None:
    """Say that a run is not finished if some of its work should be tried again.

    Raises:
        Unfinished: it is not.
    """
    from rushes.store.shortfall import AGAIN

    failed = [note for note in scorecard.notes if AGAIN in note]
    if failed:
        raise Unfinished(
            "the run is not finished: some of its work failed, and the result above is without it",
            got="; ".join(failed),
            next_step="run the same command again: it tries what failed, and makes again only what depends on it",
        )


def _check_first(recipe: Recipe, home: Path, *, allow_change: bool) -> None:
    """Check that the run can work here, and print the warnings; a finished run needs nothing any more."""
    from rushes.cli.show import show_warnings
    from rushes.preflight import check
    from rushes.store.done import is_done

    if allow_change or not is_done(home):
        show_warnings(check(recipe, home))


def _within_budget(recipe: Recipe) -> Recipe:
    """The recipe reduced to what its budget allows; prints what was changed."""
    if recipe.budget.gpu_hours is None:
        return recipe
    from rushes.cli.gpu_plan import show_trades
    from rushes.plan.budget import fit

    fitted = fit(recipe)
    show_trades(fitted)
    return fitted.recipe


def show_result(scorecard: Scorecard, home: Path) -> None:
    """Print the scorecard and the path of the report."""
    from rushes.cli.show import console
    from rushes.report.claims import claims_of_run
    from rushes.report.table import print_scorecard

    print_scorecard(scorecard, console(), claims_of_run(scorecard, home))
    say(f"report: {home / REPORT_FILE}")


def show_report(home: Path, *, rebuild: bool, open_in_browser: bool) -> None:
    """Print the scorecard of a finished run and the path of its report.

    Args:
        home: the run folder.
        rebuild: write the report again from the stored records; nothing else is redone.
        open_in_browser: also open it.

    Raises:
        StoreError: not a run folder, or the run is not finished.
    """
    from rushes.store.run import Run

    with Run.view(home) as run:
        is_done, at_the_end = run.is_done, run.failed_at_the_end()
        scorecard = None if rebuild else run.scorecard()
    if not is_done:
        from rushes.plan.status import read_status

        if (home / REPORT_FILE).is_file():
            say(f"report of what is there so far: {home / REPORT_FILE}")
            if open_in_browser:
                _open(home)
        status = read_status(home)
        failed = [*status.failures, *(status.last_failure or "").splitlines()[:1]]
        raise StoreError(
            f"the run in {home} is not finished"
            + (f", and {home / REPORT_FILE} shows the result without work that failed" if at_the_end else ""),
            expected="a run that came to its end",
            got="; ".join(at_the_end or failed) or "no failure: it was stopped, or works still",
            next_step=f"see its progress: {command('status', home)}; then continue it: {resume_command(home)}",
        )
    if scorecard is None or not (home / REPORT_FILE).is_file():
        scorecard = _finish_again(home) or scorecard
    assert scorecard is not None
    show_result(scorecard, home)
    if open_in_browser:
        _open(home)


def _open(home: Path) -> None:
    import webbrowser

    webbrowser.open((home / REPORT_FILE).absolute().as_uri())


def _finish_again(home: Path) -> Scorecard | None:
    """Run the stored recipe of a run again: every record exists, so only the last step is done again."""
    from rushes.pipeline import improve
    from rushes.store.recipe_copy import recipe_of
    from rushes.store.run import Run

    recipe = recipe_of(home)
    with Run.open(home, recipe) as run:
        run.reopen_work()
    return improve(recipe, home)
