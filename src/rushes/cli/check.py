"""`rushes check`: read all of a run folder, say what is damaged, drop it if asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rushes.cli.show import Column, say, show_json, show_table
from rushes.errors import heal_command
from rushes.execute.progress import duration_text

if TYPE_CHECKING:
    from rushes.store.check import Finding, Health

_MAX_PASSES: Final = 3
"""How often a folder is read again after something was dropped: a salvaged database shows more."""

_MONEY: Final = (
    "What was spent on a server cannot be made again. With --heal a damaged line counts as an unknown amount and is "
    "kept in cost-*.damaged; max_cost_usd then limits only what is known. Compare it with the server's own bill."
)


def show_health(home: Path, *, heal: bool, as_json: bool) -> bool:
    """Print what is damaged; with `heal`, drop it. True when nothing damaged is left.

    Raises:
        RunLocked: `heal`, and a process works there.
        StoreError: not a run folder, or not readable.
    """
    from rushes.store.check import examine, mend

    health = examine(home)
    found = [*health.findings]
    for _ in range(_MAX_PASSES if heal else 0):
        if not health.findings:
            break
        mend(home, health.findings)
        health = examine(home)
        found += health.findings
    if as_json:
        values = [{"place": each.place, "reason": each.reason, "records": _names(each)} for each in found]
        show_json({"num_checked": health.num_checked, "damaged": values, "is_healed": not health.findings})
    else:
        _show(home, found, health, heal=heal)
    return not health.findings


def _show(home: Path, found: Sequence[Finding], health: Health, *, heal: bool) -> None:
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
    if health.findings:
        say(f"next: {heal_command(str(home))}")
    elif all(each.is_money for each in found):
        say("set aside; nothing has to be made again")
    elif not (home / "recipe.yaml").exists():
        say(f"dropped, and the run's copy of its recipe with it; run your own again: rushes run RECIPE --home {home}")
    else:
        say(f"dropped; what is missing is made again by: {heal_command(str(home)).partition(' && ')[2]}")


def cost_text(found: Sequence[Finding], seconds_each: Mapping[str, float]) -> str:
    """What the next run makes again, and about how long that takes by the run's own ledger."""
    records = dict.fromkeys(record for each in found for record in each.records)
    number: dict[str, int] = {}
    for table, _ in records:
        number[table] = number.get(table, 0) + 1
    if any(each.place == "records.sqlite" for each in found):
        return "every record that cannot be read; its number is unknown before --heal"
    if all(each.is_money for each in found):
        return "nothing"
    if not number:
        return "only files that follow from the records"
    known = [seconds_each[table] * num for table, num in number.items() if table in seconds_each]
    about = "about" if len(known) == len(number) else "over"
    seconds = "" if not known else f", {about} {duration_text(sum(known))}"
    return ", ".join(f"{num} in {table}" for table, num in number.items()) + seconds


def _names(finding: Finding) -> list[str]:
    return [f"{table}/{key[:12]}" for table, key in finding.records]
