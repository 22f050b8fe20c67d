"""A plug-in with a fault: the error is met, its author does what the error says, and the error is gone."""

from __future__ import annotations

import importlib
import itertools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rushes.errors import RecipeError
from rushes.feedback import scales_of
from rushes.plugins import JUDGE, OBJECTIVE, Role, build, objective_needs, plugin
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.recipe.train import TrainSpec
from rushes.roles import Spec
from tests.support.followed import printed_step

HEAD = """
from typing import ClassVar
from rushes.feedback import Scale
from rushes.roles import ObjectiveNeeds, Spec
"""
JUDGE_CLASS = """
class Night:
    def answer(self, requests):
        return []

class NightSpec(Spec):
    spec_name: ClassVar[str] = "{package}.judge"
    strictness: float = 0.5
    def build(self, runtime):
        return Night()
"""
SCORES = JUDGE_CLASS.replace("def answer", "def score") + '    gives: ClassVar[str] = "scores"\n'
OBJECTIVE_CLASS = """
class NightSpec(Spec):
    spec_name: ClassVar[str] = "{package}.objective"
    def build(self, runtime):
        return None
"""
NEEDS = "    def needs(self):\n        return ObjectiveNeeds()\n"
_numbers = itertools.count()


class OtherSpec(Spec):
    """Of another package, whose author chose a name as short."""

    spec_name: ClassVar[str] = "judge"


@dataclass(frozen=True)
class Case:
    """A fault in the code of a plug-in, and what its author makes of the advice."""

    says: str
    """The beginning of the advice."""
    broken: str
    mended: str
    role: Role = JUDGE
    options: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    """Of the recipe, before and after."""


NAMED = '    spec_name: ClassVar[str] = "{package}.judge"\n'
BUILD = "    def build(self, runtime):\n        return Night()\n"
SCALES = '    scales: ClassVar = (Scale(name="night", unit="points"),)\n'
CASES = [
    Case("write class ...(Spec) with build(self, runtime) there", "x = 1\n", JUDGE_CLASS),
    Case("add that line", JUDGE_CLASS.replace(NAMED, ""), JUDGE_CLASS),
    Case("begin spec_name with the name of your package", JUDGE_CLASS.replace("{package}.judge", "judge"), JUDGE_CLASS),
    Case("write build(self, runtime) in that class", JUDGE_CLASS.replace(BUILD, ""), JUDGE_CLASS),
    Case("correct build() of that Spec", JUDGE_CLASS.replace("return Night()", "return None"), JUDGE_CLASS),
    Case("correct `options:` in the recipe", JUDGE_CLASS, JUDGE_CLASS, options=({"strictness": "much"}, {})),
    Case("did you mean", JUDGE_CLASS, JUDGE_CLASS, options=({"strictnes": 0.5}, {"strictness": 0.5})),
    Case("correct gives in the class", SCORES.replace('"scores"', '"points"') + SCALES, SCORES + SCALES),
    Case("add scales to the class", SCORES, SCORES + SCALES),
    Case("add needs() to that Spec", OBJECTIVE_CLASS, OBJECTIVE_CLASS + NEEDS, role=OBJECTIVE),
]


def written(code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write a package of its own name; what a recipe calls its class."""
    package = f"night_{next(_numbers)}"
    (folder / f"{package}.py").write_text(HEAD + code.replace("{package}", package))
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()
    return f"{package}:NightSpec"


def use(name: str, role: Role, options: dict[str, Any]) -> None:
    """As a run does before its first clip."""
    spec = PluginSpec(use=name, options=options)
    if role is OBJECTIVE:
        objective_needs(TrainSpec(objective=spec))
    else:
        scales_of(plugin(spec, role))
        build(spec, role, RuntimeSpec(), "judge.judge")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.says[:30])
def test_change_the_plug_in_as_the_error_says(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError) as told:
        use(written(case.broken, tmp_path, monkeypatch), case.role, case.options[0])
    assert printed_step(str(told.value)).startswith(case.says), told.value
    use(written(case.mended, tmp_path, monkeypatch), case.role, case.options[1])


def test_name_the_plug_in_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "night_elsewhere.py").write_text(HEAD + JUDGE_CLASS.replace("{package}", "night_elsewhere"))
    with pytest.raises(RecipeError) as told:
        use("night-elsewhere-judge", JUDGE, {})
    assert printed_step(str(told.value)) == "name it as package.module:Class"
    with pytest.raises(RecipeError) as told:
        use("night_elsewhere:NightSpec", JUDGE, {})
    assert "put the folder that holds it on the PYTHONPATH" in printed_step(str(told.value))
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    use("night_elsewhere:NightSpec", JUDGE, {})
