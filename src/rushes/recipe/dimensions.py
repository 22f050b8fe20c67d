"""The dimensions that a recipe names: those of its catalogue and those that it adds, checked by name."""

from __future__ import annotations

from collections.abc import Sequence

from rushes.dimensions.catalogue import Dimension, catalogue
from rushes.errors import RecipeError, nearest
from rushes.recipe.diagnose import DiagnoseSpec, DimensionSpec
from rushes.records import Question


def known(spec: DiagnoseSpec) -> tuple[Dimension, ...]:
    """Every dimension that the recipe may name: the catalogue's, then the user's own, in their order.

    Raises:
        RecipeError: a dimension that the user adds has an empty text, or its name is taken.
    """
    dimensions = list(catalogue(spec.catalogue))
    for position, brought in enumerate(spec.extra):
        path = f"diagnose.extra[{position}]"
        dimension = _brought(brought, path)
        taken = {_folded(other.name): other.name for other in dimensions}.get(_folded(dimension.name))
        if taken is not None:
            raise RecipeError(
                f"{path}.name: there is already a dimension {taken!r}",
                expected="a name that no other dimension has",
                got=brought.name,
                next_step=f"rename it, or leave it out of diagnose.extra and use {taken!r}",
            )
        dimensions.append(dimension)
    return tuple(dimensions)


def probed(spec: DiagnoseSpec) -> tuple[Dimension, ...]:
    """The dimensions to probe: `diagnose.dimensions` (empty: all) and `diagnose.focus`, in the catalogue's order.

    Group dimensions (Diversity) are not among them: no single clip has a score in them, so nothing can be trained
    towards them. They are compared at the end.

    Raises:
        RecipeError: an unknown name (with the nearest known one), a name given twice, or a group dimension by name.
    """
    dimensions = known(spec)
    for path, names in (("diagnose.dimensions", spec.dimensions), ("diagnose.focus", spec.focus)):
        _check_names(path, names, dimensions)
    wanted = {*spec.dimensions, *spec.focus} if spec.dimensions else {each.name for each in dimensions}
    return tuple(each for each in dimensions if each.name in wanted and not each.group)


def _check_names(path: str, names: Sequence[str], dimensions: Sequence[Dimension]) -> None:
    by_name = {each.name: each for each in dimensions}
    single = [each.name for each in dimensions if not each.group]
    for position, name in enumerate(names):
        if name not in by_name:
            near = nearest(name, single)
            raise RecipeError(
                f"{path}[{position}]: there is no such dimension",
                expected=f"one of {', '.join(single)}",
                got=name,
                next_step=f"did you mean {near!r}?" if near else "add your own with diagnose.extra",
            )
        if by_name[name].group:
            raise RecipeError(
                f"{path}[{position}]: {name!r} is measured over takes of a prompt together, so no clip has a score",
                expected=f"one of {', '.join(single)}",
                got=name,
                next_step=f"remove it; {name} is compared at the end of every run (measure.num_diversity_prompts)",
            )
        if name in names[:position]:
            raise RecipeError(
                f"{path}[{position}]: this dimension is named twice",
                expected="each name once",
                got=list(names),
                next_step=f"name {name} once",
            )


def _folded(name: str) -> str:
    """A name without case and separators, so that "camera motion" is near "Camera_Motion"."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _brought(spec: DimensionSpec, path: str) -> Dimension:
    """The user's own dimension; refuses empty texts, naming the setting."""
    texts = {f"{path}.name": spec.name, f"{path}.description": spec.description}
    for position, example in enumerate(spec.examples):
        texts[f"{path}.examples[{position}].prompt"] = example.prompt
        for question in example.questions:
            texts[f"{path}.examples[{position}].questions"] = question
    for where, text in texts.items():
        if not text.strip():
            raise RecipeError(
                f"{where} is empty", expected="a text", got=text, next_step="write it, or leave the entry out"
            )
    questions = tuple(
        tuple(
            Question(text=text.strip(), expected=expected, dimension=spec.name.strip(), about="user")
            for text, expected in example.questions.items()
        )
        for example in spec.examples
    )
    return Dimension(
        name=spec.name.strip(),
        description=spec.description.strip(),
        examples=tuple(example.prompt.strip() for example in spec.examples),
        example_questions=questions if any(questions) else (),
        category="Own",
    )
