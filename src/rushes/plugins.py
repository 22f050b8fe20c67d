"""Plug-ins: `use: package.module:Class` in a recipe names a Spec anywhere; no registry. Looked at only when built."""

from __future__ import annotations

import importlib
import inspect
from difflib import get_close_matches
from typing import TYPE_CHECKING

from pydantic import ValidationError

from rushes.errors import RecipeError
from rushes.roles import Spec

if TYPE_CHECKING:
    from rushes.recipe.plugin import PluginSpec


def plugin(spec: PluginSpec) -> Spec:
    """The Spec that a recipe names, made with its options.

    Raises:
        RecipeError: the module or the class is not there, the class is no Spec, or an option does not fit.
    """
    cls = _class(spec.use)
    try:
        return cls.model_validate(spec.options)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "options"
        near = get_close_matches(name, cls.model_fields, n=1)
        raise RecipeError(
            f"option {name!r} of the plug-in {spec.use} does not fit: {first['msg']}",
            expected=f"options among {sorted(cls.model_fields)}",
            got=spec.options,
            next_step=f"did you mean {near[0]!r}?" if near and near[0] != name else "mend options: in the recipe",
        ) from error


def check_role(built: object, role: str, call: str, who: str) -> None:
    """Refuse what a plug-in built when it does not have its role's method.

    Args:
        built: what it built.
        role: its name in `rushes.roles`.
        call: the method as the role writes it, `answer(requests)`.
        who: key of the recipe and name of the plug-in.

    Raises:
        RecipeError: there is no such method.
    """
    if not callable(getattr(built, call.partition("(")[0], None)):
        raise RecipeError(
            f"{who} does not build a {role.lower()}",
            expected=f"an object with a method {call}, see rushes.roles.{role}",
            got=built,
            next_step="look at build() of that Spec",
        )


def _class(use: str) -> type[Spec]:
    module_name, _, class_name = use.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise RecipeError(
            f"the plug-in {use} cannot be imported: {error}",
            expected="package.module:Class of an installed package",
            got=use,
            next_step=f"install the package with {module_name.split('.')[0]!r} in this environment, or mend the name",
        ) from error
    found = getattr(module, class_name, None)
    if inspect.isclass(found) and issubclass(found, Spec) and found is not Spec:
        return found
    specs = [name for name, each in vars(module).items() if inspect.isclass(each) and issubclass(each, Spec)]
    names = [name for name in specs if name != "Spec"]
    near = get_close_matches(class_name, names, n=1, cutoff=0.4)
    raise RecipeError(
        f"the plug-in {use} is {'not there' if found is None else 'not a Spec'}",
        expected=f"a subclass of rushes.roles.Spec in {module_name}; it has {names or 'none'}",
        got=class_name,
        next_step=f"did you mean {near[0]!r}?" if near else "write class ...(Spec) with build(self, runtime) there",
    )
