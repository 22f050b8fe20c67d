"""`rushes check`: read all of a run folder, say what is damaged, drop it if asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rushes.cli.show import Column, say, show_json, show_table
from rushes.errors import command, heal_command
from rushes.execute.progress import duration_text

if TYPE_CHECKING:
    from rushes.store.check import Finding, Health

_MAX_PASSES: Final = 3
"""How often a folder is read again after something was dropped: a salvaged database shows more."""

_MONEY: Final = (
    "What was spent on a server cannot be made again. With --heal a damaged line counts as an unknown amount and is "
    "kept in cost-*.damaged; max_cost_usd then limits only what is known. Compare it with the server's own bill."
)
_PEOPLE: Final = (
    "What people said cannot be made again. With --heal a damaged file is kept with .damaged behind its name and no "
    "longer counted: ask the rater for the saved file, or to vote again."
)


def show_health(home: Path, *, heal: bool, as_json: bool) -> bool:
    """Print what is damaged; with `heal`, drop it. True when nothing damaged is left.

    Raises:
        RunLocked: `heal`, and a process works there.
        StoreError: not a run folder, or not readable.
    """
    from rushes.store.check import MISSING, examine, mend

    health = examine(home)
    found, left = [*health.findings], health.findings
    for _ in range(_MAX_PASSES if heal else 0):
        if not left:
            break
        mend(home, left)
        health = examine(home)
        # A file that is dropped is missing from now on: the next run writes it.
        left = tuple(each for each in health.findings if each.reason != MISSING)
        found += left
    if as_json:
        values = [{"place": each.place, "reason": each.reason, "records": _names(each)} for each in found]
        show_json({"num_checked": health.num_checked, "damaged": values, "is_healed": not left})
    else:
        _show(home, found, health, is_left=bool(left))
    return not left


def _show(home: Path, found: Sequence[Finding], health: Health, *, is_left: bool) -> None:
    if not found:
        say(f"{home}: {health.num_checked} files and records read, nothing is damaged")
        return
    rows = [(each.place, each.reason, ", ".join(_names(each))) for each in found]
    show_table([Column("damaged"), Column("how"), Column("records to make again")], rows)
    from rushes.plan.measured import spent

    each_s = {table: cost.each_s for table, cost in spent(health.costs).items() if cost.each_s is not None}
    say(f"to make again: {cost_text(found, each_s)}")
    if any(each.is_money for each in found):
        say(_MONEY)
    if any(each.is_of_people for each in found):
        say(_PEOPLE)
    heal, _, again = heal_command(str(home)).partition(" && ")
    if is_left:
        say(f"next: {heal} && {again}")
    elif all(each.is_set_aside for each in found):
        say("set aside; nothing has to be made again")
    else:
        if not (home / "recipe.yaml").exists():
            again = f"{command('run', 'RECIPE', '--home', home)}, where RECIPE is what the run was begun with"
        say(f"dropped; what is missing is made again by: {again}")


def cost_text(found: Sequence[Finding], seconds_each: Mapping[str, float]) -> str:
    """What the next run makes again, and about how long that takes by the run's own ledger."""
    records = dict.fromkeys(record for each in found for record in each.records)
    number: dict[str, int] = {}
    for table, _ in records:
        number[table] = number.get(table, 0) + 1
    if any(each.place == "records.sqlite" for each in found):
        return "every record that cannot be read; its number is unknown before --heal"
    if any(each.place == "done" for each in found):
        return "the records that are lost"
    if all(each.is_set_aside for each in found):
        return "nothing"
    if not number:
        return "only files that follow from the records"
    known = [seconds_each[table] * num for table, num in number.items() if table in seconds_each]
    about = "about" if len(known) == len(number) else "over"
    seconds = "" if not known else f", {about} {duration_text(sum(known))}"
    return ", ".join(f"{num} in {table}" for table, num in number.items()) + seconds


def _names(finding: Finding) -> list[str]:
    return [f"{table}/{key[:12]}" for table, key in finding.records]
