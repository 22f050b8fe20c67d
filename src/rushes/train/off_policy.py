"""Whether an objective learns from clips of another model than the one that it tunes, though it is made for its own."""

from __future__ import annotations

from rushes.plugins import objective_needs
from rushes.recipe.recipe import Recipe


def off_policy(recipe: Recipe) -> str | None:
    """A warning in one sentence; None where the tuned model makes the clips, or the objective reads only weights.

    Flow matching on weighted clips imitates them, whoever made them. The others push away from bad clips, are bounded
    by the model that made them, or ask the judge about what the tuned model makes of them: clips of another model are
    unlikely under the tuned one, so that the push has no bound and the judge sees other clips.

    Raises:
        RecipeError: the objective is a plug-in that cannot be used.
    """
    if not recipe.generate.is_by_another:
        return None
    needs = objective_needs(recipe.train)
    is_contrast = recipe.weights.kind == "contrast"
    if not needs.reference and needs.judge == "none" and set(needs.columns) <= {"weight"} and not is_contrast:
        return None
    named = "generate.model" if recipe.generate.model is not None else "generate.lora"
    return (
        f"train.objective {recipe.train.objective.kind} expects clips of the model that it tunes, and the clips are "
        f"off-policy: {named} makes them"
    )
