"""Plug-ins: how `use:` in a recipe becomes a working object.

`use` names a `Spec` with `build(runtime)` by `package.module:Class`, or by the name under which a package offers it as
an entry point of the role. Nothing is imported before it is needed, and nothing has to be registered.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from rushes.errors import RecipeError, nearest
from rushes.extensions import extensions
from rushes.feedback import Gives, gives
from rushes.recipe.no_keys import without_keys
from rushes.recipe.plugin import PluginSpec
from rushes.roles import ObjectiveNeeds, Runtime, Spec

if TYPE_CHECKING:
    from rushes.recipe.train import TrainSpec


@dataclass(frozen=True)
class Role:
    """A role that a plug-in can fill."""

    protocol: str
    """Its Protocol in `rushes.roles`."""
    call: str
    """The method that the built object must have, as the Protocol declares it."""
    group: str
    """Group of entry points in which packages offer it by a short name."""
    module: str = "rushes.roles"
    """Where the Protocol is."""


WRITER: Final = Role("PromptWriter", "write(briefs)", "rushes.writers")
QUESTION_WRITER: Final = Role("QuestionWriter", "write(requests)", "rushes.question_writers")
CLIP_SOURCE: Final = Role("ClipSource", "clips(num, seed, shape, dimensions)", "rushes.clip_sources")
SUITE: Final = Role("PromptSuite", "prompts(dimension, num, part)", "rushes.suites")
JUDGE: Final = Role("Judge", "answer(requests)", "rushes.judges")
JUDGES: Final[Mapping[Gives, Role]] = {
    "answers": JUDGE,
    "scores": Role("ScoreJudge", "score(requests)", "rushes.judges", "rushes.feedback"),
    "preferences": Role("PreferenceJudge", "prefer(requests)", "rushes.judges", "rushes.feedback"),
}
"""What a judge must be for each kind of feedback; recipes and entry points name all of them alike."""
MEASURER: Final = Role("Measurer", "measure(subjects)", "rushes.measurers")
WEIGHTING: Final = Role("Weighting", "weigh(scores)", "rushes.weightings")
OBJECTIVE: Final = Role("Objective", "terms(own)", "rushes.objectives")
ANY: Final = Role("plug-in", "build(runtime)", "rushes.plugins")
"""For a plug-in inside another plug-in's Spec, whose role the core does not know; it has no short names."""


def resolved(spec: Spec, role: Role) -> Spec:
    """`spec`, or the plug-in's own Spec where it names one: what enters work keys.

    Raises:
        RecipeError: see `plugin`.
    """
    return plugin(spec, role) if isinstance(spec, PluginSpec) else spec


def name_of(spec: Spec, role: Role) -> str:
    """What a model or plug-in is called in records and reports: the model's own name, else the name of its Spec.

    A Spec whose name says too little has `shown_name`.
    """
    spec = resolved(spec, role)
    shown = getattr(spec, "shown_name", None)
    if isinstance(shown, str):
        return shown
    model = getattr(getattr(spec, "model", None), "model", None)
    return model if isinstance(model, str) else spec.spec_name


def plugin(spec: PluginSpec, role: Role) -> Spec:
    """The Spec that a recipe names, made with its options.

    Raises:
        RecipeError: the module or the class does not exist, the class is not a Spec, has no name or no `build`, or an
            option is not valid.
    """
    return _plugin(spec.model_dump_json(), role)


@cache
def _plugin(spec_json: str, role: Role) -> Spec:
    """`plugin`, cached per recipe entry, because every work key needs it."""
    spec = PluginSpec.model_validate_json(spec_json)
    cls = _class(spec.use, role)
    _check_class(cls, spec.use, role)
    try:
        made = cls.model_validate(spec.options)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "options"
        near = nearest(name, cls.model_fields)
        raise RecipeError(
            f"option {name!r} of the plug-in {spec.use} is not valid: {first['msg']}",
            expected=f"options among {sorted(cls.model_fields)}",
            got=without_keys(spec.options),
            next_step=f"did you mean {near!r}?" if near and near != name else "correct `options:` in the recipe",
        ) from error
    for each in _inside(made):
        if not _own_name(type(each)):
            raise _unnamed(type(each), f"{type(each).__name__} in the plug-in {spec.use}", "part")
    return made


def _inside(value: object) -> Iterator[Spec]:
    """The Specs in the settings of a Spec, at any depth."""
    if isinstance(value, Spec):
        for name in type(value).model_fields:
            inner = getattr(value, name)
            yield from [inner] if isinstance(inner, Spec) else []
            yield from _inside(inner)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from [each] if isinstance(each, Spec) else []
            yield from _inside(each)


def build(spec: PluginSpec, role: Role, runtime: Runtime, where: str) -> Any:
    """The working object of a plug-in.

    Args:
        spec: what the recipe names.
        role: what it must be.
        runtime: given to its `build`.
        where: key of the recipe that names it, for the error.

    Raises:
        RecipeError: see `plugin`; or the built object lacks the method of the role.
    """
    chosen: Any = plugin(spec, role)
    if role is JUDGE:
        role = JUDGES[gives(chosen)]
    built = chosen.build(runtime)
    if not callable(getattr(built, role.call.partition("(")[0], None)):
        raise RecipeError(
            f"{where}: {spec.use} does not build a {role.protocol}",
            expected=f"an object with a method {role.call}, see {role.module}.{role.protocol}",
            got=built,
            next_step="correct build() of that Spec",
        )
    return built


def objective_needs(spec: TrainSpec) -> ObjectiveNeeds:
    """What the recipe's objective needs of training, and what it reads of the clips.

    Raises:
        RecipeError: see `plugin`; or the Spec does not say what it needs.
    """
    chosen: Any = resolved(spec.objective, OBJECTIVE)
    found = chosen.needs() if callable(getattr(chosen, "needs", None)) else None
    if not isinstance(found, ObjectiveNeeds):
        raise RecipeError(
            f"the objective {type(chosen).__name__} does not say what it needs of training",
            expected="a method needs() that returns rushes.roles.ObjectiveNeeds",
            got=found,
            next_step="add needs() to that Spec",
        )
    return found


def num_compared(spec: TrainSpec, *, is_later: bool = False) -> int:
    """Models besides the tuned one that training compares with: as many more forward passes in every step.

    Args:
        spec: how the model is trained.
        is_later: in a round that does not start from the base.
    """
    needs = objective_needs(spec)
    is_apart = needs.old is not None or (is_later and spec.is_held_to_base)
    return int(needs.reference or spec.is_held) + int(needs.reference and spec.is_held and is_apart)


def compares_with_start(spec: TrainSpec, *, is_later: bool = False) -> bool:
    """Whether a term of the loss compares with the model that a round starts from, so that a frozen copy is needed.

    Args:
        spec: how the model is trained.
        is_later: in a round that does not start from the base.
    """
    needs = objective_needs(spec)
    of_objective = needs.reference and not needs.old
    return of_objective or (spec.is_held and not (is_later and spec.is_held_to_base))


def _unnamed(cls: type[Spec], what: str, name: str) -> RecipeError:
    package = cls.__module__.partition(".")[0]
    return RecipeError(
        f"{what} does not set its own spec_name, so its records would be lost when the class moves",
        expected=f'a line in the class: spec_name: ClassVar[str] = "{package}.{name}"',
        got=f"spec_name {cls.spec_name!r}",
        next_step="add that line, with a name that never changes",
    )


def _check_class(cls: type[Spec], use: str, role: Role) -> None:
    if not _own_name(cls):
        raise _unnamed(cls, f"the plug-in {use}", role.group[7:-1])
    other = next(
        (each for each in _all(Spec) if _own_name(each) == cls.spec_name and _place(each) != _place(cls)), None
    )
    if other is not None:
        raise RecipeError(
            f"the plug-in {use} has the same spec_name as another Spec, {_place(other)}",
            expected="a unique spec_name",
            got=cls.spec_name,
            next_step="begin spec_name with the name of your package",
        )
    if not callable(getattr(cls, "build", None)):
        raise RecipeError(
            f"the plug-in {use} cannot be built",
            expected=f"a method build(self, runtime) that returns a rushes.roles.{role.protocol}",
            got=cls,
            next_step="write build(self, runtime) in that class",
        )


def _all(cls: type[Spec]) -> list[type[Spec]]:
    """Every imported Spec class."""
    return [each for sub in cls.__subclasses__() for each in (sub, *_all(sub))]


def _own_name(cls: type[Spec]) -> str | None:
    return cls.__dict__.get("spec_name")


def _place(cls: type[Spec]) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _class(use: str, role: Role) -> type[Spec]:
    if ":" not in use:
        offered = extensions(role.group)
        if use not in offered:
            near = nearest(use, offered)
            raise RecipeError(
                f"no installed package offers a {role.protocol} called {use!r}",
                expected=f"one of {', '.join(offered) or 'none is installed'}, or package.module:Class",
                got=use,
                next_step=f"did you mean {near!r}?" if near else "name it as package.module:Class",
            )
        use = offered[use].value
    module_name, _, class_name = use.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise RecipeError(
            f"the plug-in {use} cannot be imported: {error}",
            expected="package.module:Class of an installed package, or of a folder on the PYTHONPATH",
            got=use,
            next_step=f"install the package with {module_name.split('.')[0]!r} here, or put the folder that holds it "
            "on the PYTHONPATH, or correct the name",
        ) from error
    found = getattr(module, class_name, None)
    if inspect.isclass(found) and issubclass(found, Spec) and found is not Spec:
        return found
    specs = [name for name, each in vars(module).items() if inspect.isclass(each) and issubclass(each, Spec)]
    names = [name for name in specs if name != "Spec"]
    near = nearest(class_name, names)
    raise RecipeError(
        f"the plug-in {use} {'does not exist' if found is None else 'is not a Spec'}",
        expected=f"a subclass of rushes.roles.Spec in {module_name}; it has {names or 'none'}",
        got=class_name,
        next_step=f"did you mean {near!r}?" if near else "write class ...(Spec) with build(self, runtime) there",
    )
