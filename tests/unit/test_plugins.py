"""A plug-in that cannot be used is explained: what was looked for, what is there, what to write."""

from __future__ import annotations

from typing import Any

import pytest

from rushes.errors import RecipeError
from rushes.plugins import plugin
from rushes.recipe.plugin import PluginSpec
from rushes.roles import Runtime, Spec


class DimSpec(Spec):
    """A plug-in with two options."""

    threshold: float = 0.5
    name: str = "dim"

    def build(self, runtime: Runtime) -> tuple[float, str, Runtime]:
        return self.threshold, self.name, runtime


NOT_A_SPEC = 7


def named(class_name: str, **options: Any) -> PluginSpec:
    return PluginSpec.model_validate({"use": f"{__name__}:{class_name}", "options": options})


def test_the_named_spec_is_made_with_its_options_and_built() -> None:
    assert plugin(named("DimSpec", threshold=0.25)) == DimSpec(threshold=0.25)
    runtime = Runtime()
    assert named("DimSpec", name="dark").build(runtime) == (0.5, "dark", runtime)


@pytest.mark.parametrize(
    ("spec", "problem", "next_step"),
    [
        (PluginSpec(use="no_such_package.judge:X"), "cannot be imported", "install the package with 'no_such_package'"),
        (PluginSpec(use="rushes.no_such:X"), "cannot be imported", "or mend the name"),
        (named("DimSpek"), "is not there", "did you mean 'DimSpec'?"),
        (named("Zzz"), "is not there", "write class ...(Spec)"),
        (named("NOT_A_SPEC"), "is not a Spec", ""),
        (named("Spec"), "is not a Spec", ""),
        (named("DimSpec", treshold=1.0), "option 'treshold'", "did you mean 'threshold'?"),
        (named("DimSpec", threshold="high"), "option 'threshold'", "mend options: in the recipe"),
    ],
)
def test_errors_say_what_is_wrong_and_what_to_do(spec: PluginSpec, problem: str, next_step: str) -> None:
    with pytest.raises(RecipeError) as caught:
        spec.build(Runtime())
    assert problem in caught.value.problem
    assert next_step in str(caught.value.next_step)


def test_an_error_inside_the_plug_in_is_not_mistaken_for_a_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(name: str) -> None:
        raise ZeroDivisionError("a bug in the plug-in")

    monkeypatch.setattr("importlib.import_module", explode)
    with pytest.raises(ZeroDivisionError):
        plugin(named("DimSpec"))
