"""Commands that list: `rushes recipes`, and `rushes status` of a folder of runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from rushes.cli.show import Column, say, show_json, show_table, time_text
from rushes.errors import InputError, command

if TYPE_CHECKING:
    from rushes.plan.status import RunStatus

RUNS: Final = Path("runs")
"""The folder that holds a run for which no other was named."""


def recipe_names() -> list[str]:
    """The names of the packaged recipes, for completion."""
    from rushes.recipe.load import packaged_recipes

    return list(packaged_recipes())


def about(text: str) -> str:
    """What a packaged recipe is: the first sentence of the comment that it begins with; empty without one."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#") or not line.strip("# "):
            break
        lines.append(line.strip("# "))
    sentence, dot, _ = " ".join(lines).partition(". ")
    return f"{sentence}{dot.strip()}"


def show_recipes(*, as_json: bool) -> None:
    """Print the packaged recipes, those of installed packages included, with a sentence about each."""
    from rushes.recipe.load import packaged_recipes

    found = {name: about(text) for name, text in packaged_recipes().items()}
    if as_json:
        show_json([{"name": name, "about": sentence} for name, sentence in found.items()])
        return
    show_table([Column("recipe", is_whole=True), Column("what it is")], list(found.items()))
    say(f"start from one: {command('init', 'mine.yaml', '--from', 'sandbox')}")


def homes_below(folder: Path) -> list[Path]:
    """The run folders in a folder, the one with the newest activity first.

    Raises:
        InputError: there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(
            f"there are no runs here: {folder}/ does not exist",
            next_step="name a run folder, or make one: rushes run sandbox",
        )
    homes = [each for each in folder.iterdir() if (each / "header.json").is_file()]
    return sorted(homes, key=_last_change, reverse=True)


def are_runs_in(folder: Path) -> bool:
    """Whether a folder is none of a run itself, but holds some."""
    return folder.is_dir() and not (folder / "header.json").exists() and bool(homes_below(folder))


def _last_change(home: Path) -> float:
    log = home / "events.jsonl"
    return log.stat().st_mtime if log.exists() else home.stat().st_mtime


def show_runs(folder: Path, *, as_json: bool) -> None:
    """Print the runs in a folder: what each is doing, its stage, and the time left.

    Raises:
        InputError: there is no such folder.
    """
    from rushes.errors import StoreError
    from rushes.plan.status import read_status

    found: list[RunStatus | tuple[Path, str]] = []
    for home in homes_below(folder):
        try:
            found.append(read_status(home))
        except StoreError as error:  # one that is damaged hides none of the others
            found.append((home, error.problem))
    if as_json:
        values = [{"home": str(x[0]), "problem": x[1]} if isinstance(x, tuple) else x.as_json() for x in found]
        show_json(values)
        return
    if not found:
        say(f"there are no runs in {folder}/; make one: rushes run sandbox")
        return
    columns = [
        Column("run", is_whole=True),
        Column("recipe"),
        Column("state"),
        Column("stage"),
        Column("to go", "right"),
    ]
    show_table(columns, [_row(each) for each in found])
    say(f"more about one: {command('status', found[0][0] if isinstance(found[0], tuple) else found[0].home)}")


def _row(status: RunStatus | tuple[Path, str]) -> tuple[str, ...]:
    if isinstance(status, tuple):
        return (str(status[0]), "?", f"cannot be read: {status[1]}", "", "?")
    begun = [stage for stage in status.stages if stage.num_done]
    left = [stage for stage in begun if stage.num_left]
    now = (left or begun)[-1:] if status.state != "finished" else []
    of = "".join(f"{each.stage} {each.num_done}/{'?' if each.num_total is None else each.num_total}" for each in now)
    return (status.home, status.name, status.state, of, time_text(status.left_s))
