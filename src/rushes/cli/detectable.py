"""The part of `rushes plan` that says how small a gain the recipe's final comparison can see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rushes.cli.show import Column, say, show_table

if TYPE_CHECKING:
    from rushes.recipe.recipe import Recipe


def show_detectable(recipe: Recipe) -> None:
    """Print the smallest gains, and a warning where they are above what is ever reported."""
    from rushes.plan.detectable import REPORTED, detectable, per_dimension, points, prompts_for

    rows = detectable(recipe)
    if not rows:
        say("measure.num_prompts is 0: base and tuned model are not compared")
        return
    columns = [Column("smallest gain seen in"), Column("prompts", "right"), Column("takes", "right")]
    cells = [
        (row.what, str(row.num_prompts), str(row.num_takes), "none" if row.gain is None else points(row.gain))
        for row in rows
    ]
    show_table([*columns, Column("points", "right")], cells)
    say(
        "Points of 100, found 4 times in 5 if the gain is real. Assumed: clips are right or wrong, half of them right; "
        "see docs/running.md."
    )
    for row in rows:
        if row.gain is None:
            say(
                f"NOT A MEASUREMENT: {row.what}: with {row.num_prompts} prompts no gain can pass the test; "
                f"it takes {row.fewest} at the very least (measure.num_prompts)"
            )
    whole = rows[0]
    if whole.gain is None or whole.gain > REPORTED:
        needed = prompts_for(REPORTED, whole)
        each = (
            None if needed is None else max(1, per_dimension(needed, recipe) - recipe.measure.num_extra_focus_prompts)
        )
        say(
            f"warning: this recipe cannot see a gain of {points(REPORTED)} points in {whole.what}, and published mean "
            f"gains are hardly larger"
        )
        if each is not None:
            say(f"  next:     --set measure.num_prompts={each}, or fewer with more measure.num_takes")
