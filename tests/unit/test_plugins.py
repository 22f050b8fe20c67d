"""A plug-in that cannot be used is explained: what was looked for, what is there, what to write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from rushes.errors import RecipeError
from rushes.plugins import JUDGE, WEIGHTING, Role, build, name_of, plugin, resolved
from rushes.recipe.models import ServerModelSpec, VlmJudgeSpec
from rushes.recipe.plugin import PluginSpec
from rushes.roles import JudgeRequest, Runtime, Spec


@dataclass(frozen=True)
class Built:
    """A judge that only remembers what it was built from."""

    threshold: float
    name: str
    runtime: Runtime

    def answer(self, requests: Sequence[JudgeRequest]) -> list[Any]:
        return []


class DimSpec(Spec):
    """A plug-in with two options."""

    spec_name: ClassVar[str] = "tests.plugins.dim"

    threshold: float = 0.5
    name: str = "dim"

    def build(self, runtime: Runtime) -> Built:
        return Built(self.threshold, self.name, runtime)


class NamelessSpec(Spec):
    def build(self, runtime: Runtime) -> Built:
        return Built(0.5, "nameless", runtime)


class HeirSpec(DimSpec):
    """Has the name of its parent, and so its parent's records."""


class TwinSpec(DimSpec):
    spec_name: ClassVar[str] = "judge.vlm"


class IdleSpec(Spec):
    spec_name: ClassVar[str] = "tests.plugins.idle"


class InnerSpec(Spec):
    """A part without a name."""


class OuterSpec(Spec):
    """A judge with a name, and a part without one."""

    spec_name: ClassVar[str] = "outer.judge"

    inner: tuple[InnerSpec, ...] = (InnerSpec(),)

    def build(self, runtime: object) -> object:
        return self


class MuteSpec(Spec):
    """What it builds has no method of any role."""

    spec_name: ClassVar[str] = "tests.plugins.mute"

    def build(self, runtime: Runtime) -> object:
        return 7


NOT_A_SPEC = 7


def named(class_name: str, **options: Any) -> PluginSpec:
    return PluginSpec.model_validate({"use": f"{__name__}:{class_name}", "options": options})


def test_the_named_spec_is_made_with_its_options_and_built() -> None:
    assert plugin(named("DimSpec", threshold=0.25), JUDGE) == DimSpec(threshold=0.25)
    runtime = Runtime()
    assert build(named("DimSpec", name="dark"), JUDGE, runtime, "judge.judge") == Built(0.5, "dark", runtime)


def test_records_call_it_by_its_model_or_else_by_the_name_of_its_spec() -> None:
    assert name_of(named("DimSpec"), JUDGE) == "tests.plugins.dim"
    assert name_of(PluginSpec(use="sandbox"), JUDGE) == "sandbox-vqa"
    vlm = VlmJudgeSpec(model=ServerModelSpec(model="some/model"))
    assert name_of(vlm, JUDGE) == "some/model"
    assert resolved(vlm, JUDGE) is vlm


@pytest.mark.parametrize(
    ("spec", "problem", "next_step"),
    [
        (PluginSpec(use="no_such_package.judge:X"), "cannot be imported", "install the package with 'no_such_package'"),
        (PluginSpec(use="rushes.no_such:X"), "cannot be imported", "or correct the name"),
        (PluginSpec(use="sandbux"), "no installed package offers a Judge called 'sandbux'", "did you mean 'sandbox'?"),
        (PluginSpec(use="zzz"), "no installed package offers a Judge", "name it as package.module:Class"),
        (named("DimSpek"), "does not exist", "did you mean 'DimSpec'?"),
        (named("Zzz"), "does not exist", "write class ...(Spec)"),
        (named("NOT_A_SPEC"), "is not a Spec", ""),
        (named("Spec"), "is not a Spec", ""),
        (named("DimSpec", treshold=1.0), "option 'treshold'", "did you mean 'threshold'?"),
        (named("DimSpec", threshold="high"), "option 'threshold'", "correct `options:` in the recipe"),
    ],
)
def test_errors_say_what_is_wrong_and_what_to_do(spec: PluginSpec, problem: str, next_step: str) -> None:
    with pytest.raises(RecipeError) as caught:
        plugin(spec, JUDGE)
    assert problem in caught.value.problem
    assert next_step in str(caught.value.next_step)


OWN_NAME = 'a line in the class: spec_name: ClassVar[str] = "tests.{}"'
HEIRLOOM = "spec_name 'tests.plugins.dim'"
ADD_NAME = "add that line, with a name that never changes"


@pytest.mark.parametrize(
    ("class_name", "role", "problem", "expected", "got", "next_step"),
    [
        ("NamelessSpec", JUDGE, "does not set its own spec_name", OWN_NAME.format("judge"), "spec_name ''", ADD_NAME),
        ("NamelessSpec", WEIGHTING, "does not set its own", OWN_NAME.format("weighting"), "spec_name ''", ADD_NAME),
        ("HeirSpec", JUDGE, "does not set its own spec_name", OWN_NAME.format("judge"), HEIRLOOM, ADD_NAME),
        (
            "TwinSpec",
            JUDGE,
            "has the same spec_name as another Spec, rushes.recipe.models:VlmJudgeSpec",
            "a unique spec_name",
            "judge.vlm",
            "begin spec_name with the name of your package",
        ),
        (
            "IdleSpec",
            JUDGE,
            "cannot be built",
            "a method build(self, runtime) that returns a rushes.roles.Judge",
            "IdleSpec",
            "write build(self, runtime) in that class",
        ),
    ],
)
def test_a_class_that_is_no_whole_plug_in_is_refused_with_what_to_add(
    class_name: str, role: Role, problem: str, expected: str, got: str, next_step: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        plugin(named(class_name), role)
    assert caught.value.problem.startswith(f"the plug-in {__name__}:{class_name} {problem}")
    assert caught.value.expected == expected
    assert got in caught.value.got_repr
    assert caught.value.next_step == next_step


def test_a_part_of_a_plug_in_without_a_name_is_refused_before_it_enters_a_key() -> None:
    with pytest.raises(RecipeError, match=r"InnerSpec in the plug-in .* does not set its own spec_name"):
        plugin(named("OuterSpec"), JUDGE)


def test_what_it_builds_must_have_the_method_of_its_role() -> None:
    with pytest.raises(RecipeError, match=r"judge\.judge: .*:MuteSpec does not build a Judge") as caught:
        build(named("MuteSpec"), JUDGE, Runtime(), "judge.judge")
    assert caught.value.expected == "an object with a method answer(requests), see rushes.roles.Judge"
    assert caught.value.next_step == "correct build() of that Spec"


def test_an_error_inside_the_plug_in_is_not_mistaken_for_a_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(name: str) -> None:
        raise ZeroDivisionError("a bug in the plug-in")

    monkeypatch.setattr("importlib.import_module", explode)
    with pytest.raises(ZeroDivisionError):
        plugin(named("DimSpec", threshold=0.125), JUDGE)
