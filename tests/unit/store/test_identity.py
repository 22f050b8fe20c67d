"""Keys never change by accident: golden values pin them, and what must not matter does not."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rushes.plugins import ANY, plugin
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.recipe import Recipe, StagesSpec
from rushes.records import Question
from rushes.roles import Runtime, Spec
from rushes.store.identity import (
    IDENTITY_VERSION,
    WorkKeys,
    canonical_json,
    canonical_object,
    canonical_texts,
    content_hash,
    seed_from_key,
    spec_part,
    work_key,
)
from tests.plugin.test_plugin import PROJECT
from tests.support.sandbox_recipe import CATALOGUE, MODEL, sandbox_recipe


class SamplerSpec(Spec):
    spec_name: ClassVar[str] = "sampler"
    num_steps: int = 20
    shift: float = 3.0


class OuterSpec(Spec):
    spec_name: ClassVar[str] = "outer"
    sampler: SamplerSpec = SamplerSpec()
    names: tuple[str, ...] = ("a", "b")


class Machine(Runtime):
    device: str = "cpu"


class WithRuntime(Spec):
    spec_name: ClassVar[str] = "with-runtime"
    machine: Machine = Machine()
    steps: int = 3


class NamelessSpec(SamplerSpec):
    pass


class VersionedSpec(Spec):
    spec_name: ClassVar[str] = "versioned"
    now: ClassVar[str | None] = "1"

    def version(self) -> str | None:
        return self.now


class Colour(Enum):
    RED = "red"


# A change here means that every finished run would be made again: raise IDENTITY_VERSION in the same commit.
GOLDEN_EMPTY = "fc09520ca7f39765c38761614fa65274cfd7a240c32e98f92210b4750121ef56"
GOLDEN_SPEC = "d37cb62059f4e242de0ac0255fc270c5844d8e7476186eb4496080840859b712"
GOLDEN_CHAIN = "043c9aa35254c905d3e9f63699768b21c32d575fccba7b8add514f828a5fd5cb"
GOLDEN_SEED = 1449703692633964266


def golden_keys() -> tuple[str, str, str, int]:
    empty = work_key("prompt", None)
    spec = work_key("clip", SamplerSpec(num_steps=30), [empty], 2)
    chain = work_key("answer", {"judge": "Würfel \u2713", "limits": [0.1, 1e-9, -0.0, 1.0]}, [spec, empty])
    return empty, spec, chain, seed_from_key(spec, "noise", 3)


def test_golden_keys() -> None:
    assert IDENTITY_VERSION == 2
    assert golden_keys() == (GOLDEN_EMPTY, GOLDEN_SPEC, GOLDEN_CHAIN, GOLDEN_SEED)


def test_golden_canonical_json() -> None:
    question = Question(text="Grün?", expected="yes", dimension="D", about="a")
    assert canonical_json({"b": (1, 2.5, None, True), "a": question, "c": Colour.RED}) == (
        '{"a":{"about":"a","dimension":"D","expected":"yes","text":"Gr\\u00fcn?"},"b":[1,2.5,null,true],"c":"red"}'
    )
    assert canonical_json(OuterSpec()).endswith(
        '"sampler":{"num_steps":20,"shift":3.0,"spec_name":"sampler"},"spec_name":"outer"}'
    )


def test_keys_do_not_depend_on_the_process() -> None:
    code = "from rushes.store.identity import work_key; print(work_key('prompt', {'b': 1, 'a': [2.5]}, ['x'], 7))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout.strip()
        for seed in ("0", "1")
    }
    assert seen == {work_key("prompt", {"a": [2.5], "b": 1}, ["x"], 7)}


def test_everything_that_decides_a_result_changes_the_key() -> None:
    keys = [
        work_key("clip", None),
        work_key("answer", None),
        work_key("clip", None, index=1),
        work_key("clip", None, ["a"]),
        work_key("clip", None, ["a", "b"]),
        work_key("clip", None, ["b", "a"]),
        work_key("clip", None, ["a,b"]),
        work_key("clip", {}),
        work_key("clip", {"x": 1}),
        work_key("clip", {"x": "1"}),
        work_key("clip", {"x": [1]}),
        work_key("clip", {"x": None}),
        work_key("clip", SamplerSpec()),
        work_key("clip", SamplerSpec(shift=3.5)),
        work_key("clip", OuterSpec()),
    ]
    assert len(set(keys)) == len(keys)


def test_a_runtime_may_not_enter_a_key() -> None:
    with pytest.raises(TypeError, match="Runtime"):
        work_key("clip", WithRuntime())
    assert spec_part(WithRuntime()) == {"spec_name": "with-runtime", "steps": 3}
    assert spec_part({"machine": Machine(), "list": [Machine(), 1]}) == {"list": [1]}


def test_a_spec_without_a_name_of_its_own_may_not_enter_a_key() -> None:
    for spec in (NamelessSpec(), {"inside": [NamelessSpec()]}):
        with pytest.raises(TypeError, match="NamelessSpec needs a spec_name of its own"):
            work_key("clip", spec)  # type: ignore[arg-type]


def test_what_a_spec_says_of_its_version_is_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    first = work_key("clip", VersionedSpec())
    monkeypatch.setattr(VersionedSpec, "now", "2")
    assert work_key("clip", VersionedSpec()) != first
    monkeypatch.setattr(VersionedSpec, "now", None)
    assert canonical_json(VersionedSpec()) == '{"spec_name":"versioned"}'


def test_a_plug_in_counts_as_what_it_names_and_not_by_its_place() -> None:
    named = PluginSpec(use="rushes_sandbox.specs:WriterSpec", options={"detailed": 0.25})
    assert content_hash(named) == content_hash(plugin(named, ANY))
    with pytest.raises(TypeError, match=r"spec\.writer is an unresolved plug-in \(sandbox\)"):
        work_key("prompt", {"writer": PluginSpec(use="sandbox")})


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (float("nan"), ValueError),
        ([float("inf")], ValueError),
        ({1: "a"}, TypeError),
        ({"a", "b"}, TypeError),
        (object(), TypeError),
        (b"bytes", TypeError),
        (Path("weights"), TypeError),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_values_without_one_form_are_refused(value: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        content_hash(value)


@pytest.mark.parametrize(
    "call",
    [lambda: work_key("", None), lambda: work_key("clip", None, index=-1), lambda: work_key("clip", None, "ab" * 32)],
)
def test_wrong_calls_are_refused(call: Callable[[], str]) -> None:
    with pytest.raises((ValueError, TypeError)):
        call()


@pytest.mark.parametrize("spec", [None, "ab", {"b": 1.5, "a": ["é", '"', -0.0]}, {}])
def test_many_keys_at_once_are_the_same_keys(spec: Any) -> None:
    keys = WorkKeys("clip", canonical_json(spec))
    for inputs, index in (((), 0), (("ab" * 32,), 3), (('a name, quoted "é"', "ab"), 12)):
        assert keys.key(inputs, index) == work_key("clip", spec, inputs, index)


def test_an_object_can_be_written_out_part_by_part() -> None:
    value = {"b": {"z": 1, "y": None}, "a": "é", "c": [True]}
    parts = {name: canonical_json(each) for name, each in value.items()}
    assert canonical_object(parts) == canonical_json(value)


def test_texts_are_written_out_as_everything_else() -> None:
    value = [{"text": 'é "b"\n', "about": "a"}, {"text": "", "about": "\u2028"}]
    assert canonical_texts(value) == canonical_json(value)


@pytest.mark.parametrize("call", [lambda: WorkKeys("", "{}"), lambda: WorkKeys("clip", "{}").key((), -1)])
def test_wrong_calls_for_many_keys_are_refused(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError):
        call()


def test_seeds_are_63_bits_and_differ_by_purpose() -> None:
    seeds = [
        seed_from_key(work_key("clip", None, index=i), *purpose) for i in range(200) for purpose in ((), ("a",), (1,))
    ]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) >= 2**62


# ---------------------------------------------------------------------------------------- every Spec that there is

SANDBOX_JUDGE = PluginSpec(use="rushes_sandbox.specs:JudgeSpec")
LOCAL = {"kind": "transformers"}
EXAMPLES: dict[str, dict[str, Any]] = {
    "base": {"model": MODEL},
    "base.lora": {"file": "adapter.safetensors"},
    "generate.lora": {"model": "distilled.safetensors"},
    "example": {"prompt": "a red circle"},
    "real-shape": {"height_px": 480, "width_px": 832, "num_frames": 81},
    "dimension": {"name": "Haste", "description": "Things hurry.", "examples": ({"prompt": "a red circle hurries"},)},
    "diagnose": {"catalogue": CATALOGUE},
    "judge": {"judge": SANDBOX_JUDGE},
    "measure": {"measurer": PluginSpec(use="rushes_sandbox.specs:MeasurerSpec")},
    "prompts": {"writer": PluginSpec(use="rushes_sandbox.specs:WriterSpec")},
    "judge.people": {"path": "labels.csv"},
    "measurer.people": {"path": "labels.csv"},
    "judge.served": {"server": "main", "model": "some/model", "scales": ({"name": "look", "unit": "points"},)},
    "judge.served_pairs": {"server": "main", "model": "some/model"},
    "measurer.served": {"server": "main", "model": "some/model", "scales": {"look": {"lowest": 1, "highest": 5}}},
    "plugin": {"use": SANDBOX_JUDGE.use},
    "model.server": {"model": "some/model"},
    "vlm": {"model": LOCAL},
    "judge.vlm": {"model": LOCAL},
    "measurer.vlm": {"model": LOCAL},
    "writer.fixed": {"path": "prompts.jsonl"},
    "stages": dict(sandbox_recipe()),
    "recipe": dict(sandbox_recipe()),
    "vbench2.instance_judge": {"detector": "google/owlv2-base-patch16-ensemble"},
    "vbench2.suite": {"path": "VBench"},
    "vbench2.teller": {"model": LOCAL},
    "vbench2.text-judge": {"model": LOCAL},
}
"""What each Spec needs to be made, by its name; the others have no required fields."""


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A third party's package can be imported, and is forgotten afterwards."""
    monkeypatch.syspath_prepend(str(PROJECT / "src"))
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "night_shoot"]:
        del sys.modules[name]


def specs_of(package: str) -> list[type[Spec]]:
    """The Spec classes that a package defines; those in whose file no class has such a base are not imported."""
    root = Path(str(files(package)))
    found: list[type[Spec]] = []
    for file in sorted(root.rglob("*.py")):
        if re.search(r"^class \w+\([^)]*(Spec|Recipe)\b", file.read_text("utf-8"), re.MULTILINE):
            inside = file.relative_to(root).with_suffix("").parts
            module = importlib.import_module(".".join([package, *(part for part in inside if part != "__init__")]))
            classes = [each for each in vars(module).values() if inspect.isclass(each) and issubclass(each, Spec)]
            found += [each for each in classes if each.__module__ == module.__name__]
    # What begins with an underscore is what Specs have in common: nothing is built from it.
    return [each for each in found if each is not Spec and not each.__name__.startswith("_")]


def example(cls: type[Spec]) -> Spec:
    fields = {name: value for name, value in EXAMPLES.get(cls.spec_name, {}).items() if name in cls.model_fields}
    return cls.model_validate(fields)


def key_of(spec: Spec) -> str:
    """Its identity; a whole recipe, which enters no work key, has that by which recipes are compared."""
    return content_hash(spec_part(spec) if isinstance(spec, StagesSpec) else spec)


@pytest.mark.usefixtures("plug_in")
def test_no_key_depends_on_where_a_class_lives_and_every_name_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    packages = {name: specs_of(name) for name in ("rushes", "rushes_sandbox", "rushes_vbench", "night_shoot")}
    assert all(packages.values())
    classes = [cls for found in packages.values() for cls in found]
    # `specs_of` finds what follows this rule, and so every class that is derived from one that does.
    assert [cls for cls in classes if not cls.__name__.endswith("Spec")] == [Recipe]

    names = [cls.__dict__.get("spec_name", "") for cls in classes]
    assert all(names)
    assert sorted(set(names)) == sorted(names)

    specs = [example(cls) for cls in classes]
    before = [key_of(spec) for spec in specs]
    for cls in classes:
        monkeypatch.setattr(cls, "__module__", "moved.elsewhere")
    assert [key_of(spec) for spec in specs] == before
    # One that only names a plug-in has that plug-in's key.
    assert len(set(before)) == len(before) - 1


class GrownSpec(SamplerSpec):
    spec_name: ClassVar[str] = "sampler"
    added_later: ClassVar[frozenset[str]] = frozenset({"extra", "way"})
    extra: dict[str, Any] | None = None
    way: str = "as before"


def test_a_field_that_came_later_enters_keys_only_where_it_is_set() -> None:
    assert content_hash(GrownSpec()) == content_hash(SamplerSpec())
    assert spec_part(GrownSpec()) == spec_part(SamplerSpec())
    keys = [content_hash(each) for each in (SamplerSpec(), GrownSpec(extra={}), GrownSpec(way="another"))]
    assert len(set(keys)) == 3
