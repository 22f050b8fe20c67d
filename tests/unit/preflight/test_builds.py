"""A plug-in that cannot be built is told before a run, once and with its setting; what loads weights is not built."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rushes.errors import InputError
from rushes.findings import Finding
from rushes.llm.connect import connect
from rushes.preflight import found_in_recipe, found_on_machine
from rushes.recipe.load import load_recipe
from rushes.recipe.models import ServerModelSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.roles import ObjectiveNeeds, Runtime, Spec
from tests.support.suite import write_suite

HERE = __name__
VBENCH = ["diagnose.catalogue=rushes_vbench:dimensions.yaml", "diagnose.dimensions=[Camera_Motion]"]


class BrokenSpec(Spec):
    """Any role: `build` raises."""

    spec_name: ClassVar[str] = "tests.builds.broken"

    is_taught: bool = False

    def needs(self) -> ObjectiveNeeds:
        return ObjectiveNeeds()

    def build(self, runtime: Runtime) -> Any:
        if self.is_taught:
            raise InputError("the table is not there", expected="table.csv", next_step="write it")
        raise ZeroDivisionError("by nothing")


class HeavySpec(BrokenSpec):
    """Would load weights."""

    spec_name: ClassVar[str] = "tests.builds.heavy"
    loads_when_built: ClassVar[bool] = True


class MuteSpec(BrokenSpec):
    """Builds what has no method of any role."""

    spec_name: ClassVar[str] = "tests.builds.mute"

    def build(self, runtime: Runtime) -> Any:
        return 7


class TellingSpec(BrokenSpec):
    """Tells by itself what is wrong."""

    spec_name: ClassVar[str] = "tests.builds.telling"

    def findings(self, runtime: Any) -> Sequence[Finding]:
        return [Finding("is_taught", "the table is not there")]


class FarSpec(BrokenSpec):
    """Asks a server."""

    spec_name: ClassVar[str] = "tests.builds.far"

    model: ServerModelSpec = ServerModelSpec(server="eyes", model="m")

    def build(self, runtime: RuntimeSpec) -> Any:
        return connect(self.model, runtime)


SETTINGS = [
    "prompts.writer",
    "prompts.questions",
    "prompts.real.source",
    "judge.judge",
    "weights.plugin",
    "train.objective",
    "measure.measurer",
    "measure.suite",
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def found(setting: str, name: str, *more: str) -> list[Finding]:
    """What is found wrong with the smallest recipe whose `setting` names a plug-in of this file."""
    kind = ["weights.kind=plugin"] if setting == "weights.plugin" else []
    recipe = load_recipe("tiny", [f"{setting}={{use: '{HERE}:{name}'}}", *kind, *more])
    findings = (*found_in_recipe(recipe), *found_on_machine(recipe, Path("run")))
    return [each for each in findings if "no measurement" not in each.problem]


@pytest.mark.parametrize("setting", SETTINGS)
def test_what_build_raises_is_one_finding_with_the_setting(setting: str) -> None:
    (finding,) = found(setting, "BrokenSpec")
    assert finding.setting == setting and finding.is_certain
    assert "cannot be built: ZeroDivisionError: by nothing" in finding.problem
    assert f"{Path(__file__).name}, line " in str(finding.got)
    (taught,) = found(setting, "BrokenSpec", f"{setting}.options.is_taught=true")
    assert (taught.setting, taught.problem, taught.next_step) == (setting, "the table is not there", "write it")


@pytest.mark.parametrize("setting", SETTINGS[:-1])
def test_what_has_not_the_method_of_its_role_is_found(setting: str) -> None:
    (finding,) = found(setting, "MuteSpec")
    assert finding.setting == setting and "does not build a" in finding.problem


def test_what_would_load_weights_is_not_built() -> None:
    assert found("judge.judge", "HeavySpec") == []


def test_what_is_told_already_is_not_told_again() -> None:
    (telling,) = found("judge.judge", "TellingSpec")
    assert telling.setting == "judge.judge.options.is_taught"
    (far,) = found("judge.judge", "FarSpec")
    assert far.setting == "runtime.servers.eyes"


def test_a_cluster_may_have_what_this_machine_lacks() -> None:
    findings = found("measure.measurer", "BrokenSpec", "runtime.executor=ray")
    assert [each.is_certain for each in findings if each.setting == "measure.measurer"] == [False]


def test_a_plug_in_inside_one_that_loads_weights_is_built(tmp_path: Path) -> None:
    (tmp_path / "suite").mkdir()
    write_suite(tmp_path / "suite")
    measurer = f"{{use: vbench2, options: {{suite: suite, judge: {{use: '{HERE}:BrokenSpec'}}}}}}"
    suite = "measure.suite={use: vbench2, options: {path: suite}}"
    recipe = load_recipe("tiny", [f"measure.measurer={measurer}", suite, *VBENCH])
    findings = {each.setting: each for each in found_on_machine(recipe, Path("run"))}
    assert "ZeroDivisionError" in findings["measure.measurer.options.judge"].problem
