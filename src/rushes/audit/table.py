"""The audit as a table for the terminal, and in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rushes.audit.expectations import table
from rushes.audit.records import Audit, ControlResult, DimensionAudit, OtherOpinion
from rushes.display.words import readable
from rushes.plain import safe

if TYPE_CHECKING:
    from rich.console import Console

_STYLES: Final = {"trust": "green", "do not trust": "red", "not shown": "yellow"}
_WIDE: Final = 130
"""Terminal width, columns, from which there is room for the controls that should change nothing."""


def print_audit(audit: Audit, console: Console) -> None:
    """Print a row per dimension with the AUC of every control, then reasons, notes and the verdict.

    Args:
        audit: what to show.
        console: where to print; texts in the audit are never read as markup.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    asked = {result.control for each in audit.dimensions for result in each.controls}
    shown = [
        control
        for control in table().controls
        if control.name in asked and (console.width >= _WIDE or not control.is_harmless)
    ]
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    grid.add_column("dimension", overflow="fold", min_width=12)
    grid.add_column("verdict", no_wrap=True)
    for control in shown:
        grid.add_column(Text(control.title.replace(" ", "\n")), justify="right", no_wrap=True)
    grid.add_column(Text("yes-\nbias"), justify="right", no_wrap=True)
    if console.width >= _WIDE:
        grid.add_column(Text("same\nagain"), justify="right", no_wrap=True)
    for each in audit.dimensions:
        results = {result.control: result for result in each.controls}
        cells = [auc_text(results.get(control.name)) for control in shown]
        style = _STYLES[each.verdict]
        numbers = (Text(cell) for cell in (*cells, *_tail(each)[: 2 if console.width >= _WIDE else 1]))
        grid.add_row(Text(safe(readable(each.dimension))), Text(each.verdict, style), *numbers)
    console.print(grid)
    console.print(Text("AUC of the original over each control. ! not as expected, ? too few clips, () says nothing."))
    for each in audit.dimensions:
        for reason in each.reasons:
            console.print(Text(safe(f"{each.dimension}: {reason}")))
        for other in each.others:
            console.print(Text(safe(f"{each.dimension}: {opinion_text(other)}")))
    for note in (*unscored_notes(audit), *audit.notes):
        console.print(Text(safe(f"note: {note}")))
    console.print(Text(safe(sentence(audit)), style="bold"))


def sentence(audit: Audit) -> str:
    """In which dimensions the judge can be trusted, in words."""
    return " ".join(filter(None, (warning(audit), assurance(audit))))


def warning(audit: Audit) -> str:
    """In which dimensions it cannot be trusted; empty for none."""
    names = ", ".join(map(readable, audit.with_verdict("do not trust")))
    return f"Do not trust {audit.judge} in {names}." if names else ""


def assurance(audit: Audit) -> str:
    """What is known about the other dimensions; empty if there are none."""
    unknown = ", ".join(map(readable, audit.with_verdict("not shown")))
    fine = ", ".join(map(readable, audit.with_verdict("trust")))
    parts = (
        f"The audit does not show that it can be trusted in {unknown}." if unknown else "",
        f"The audit found nothing against it in {fine}." if fine else "",
    )
    return " ".join(filter(None, parts))


def unscored_notes(audit: Audit) -> tuple[str, ...]:
    """Controls that were asked but scored in no dimension, with the reason: the verdicts do not depend on them."""
    notes = []
    for control in table().controls:
        results = [one for each in audit.dimensions for one in each.controls if one.control == control.name]
        if results and all(one.num_clips == 0 for one in results):
            notes.append(f"{control.title}: not scored in any dimension: {results[0].unscored_reason}")
    return tuple(notes)


def auc_text(result: ControlResult | None) -> str:
    """The AUC of a control with a mark for its finding: "1.00", "0.48!", "0.70?", "(0.50)", "-"."""
    if result is None or result.auc is None:
        return "-"
    value = f"{result.auc.value:.2f}"
    return {"fails": f"{value}!", "unclear": f"{value}?", "open": f"({value})"}.get(result.finding, value)


def _tail(each: DimensionAudit) -> list[str]:
    bias = "-" if each.yes_bias is None else f"{each.yes_bias.value:+.2f}"
    return [bias, "-" if each.consistency is None else f"{each.consistency.share_same:.0%}"]


def opinion_text(other: OtherOpinion) -> str:
    """The comparison of the judge with a second judge or with people, in words."""
    if other.accuracy is None:
        return f"beside {other.source}: {other.num_questions} questions in common, too few to compare"
    parts = [f"same answer {other.accuracy.value:.0%} ({other.accuracy.low:.0%} to {other.accuracy.high:.0%})"]
    for name, value in (("kappa", other.kappa), ("correlation", other.correlation)):
        if value is not None:
            parts.append(f"{name} {value.value:.2f} ({value.low:.2f} to {value.high:.2f})")
    return f"beside {other.source} on {other.num_questions} questions: {', '.join(parts)}"
