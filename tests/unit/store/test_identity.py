"""Keys never change by accident: golden values pin them, and what must not matter does not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import ClassVar

import pytest

from rushes.records import Question
from rushes.roles import Runtime, Spec
from rushes.store.identity import IDENTITY_VERSION, canonical_json, content_hash, seed_from_key, spec_part, work_key


class SamplerSpec(Spec):
    spec_name: ClassVar[str] = "sampler"
    num_steps: int = 20
    shift: float = 3.0


class OuterSpec(Spec):
    sampler: SamplerSpec = SamplerSpec()
    names: tuple[str, ...] = ("a", "b")


class Machine(Runtime):
    device: str = "cpu"


class WithRuntime(Spec):
    machine: Machine = Machine()
    steps: int = 3


class Colour(Enum):
    RED = "red"


# A change here means that every finished run would be made again: raise IDENTITY_VERSION in the same commit.
GOLDEN_EMPTY = "285fc1fabfc70b39c06a495c55a04cb675a57d258c8408d8fb3b5c5f8e8adea5"
GOLDEN_SPEC = "228db15b96943ed7f17e5864a4e192dabd11cbe8308aaf25e2db640fe16ce70e"
GOLDEN_CHAIN = "e7b9bde87ef673d7b9cbc96c2da4cfd383506ea7e5f80c09260d31bff30e9572"
GOLDEN_SEED = 9005781796014091784


def golden_keys() -> tuple[str, str, str, int]:
    empty = work_key("prompt", None)
    spec = work_key("clip", SamplerSpec(num_steps=30), [empty], 2)
    chain = work_key("answer", {"judge": "Würfel \u2713", "limits": [0.1, 1e-9, -0.0, 1.0]}, [spec, empty])
    return empty, spec, chain, seed_from_key(spec, "noise", 3)


def test_golden_keys() -> None:
    assert IDENTITY_VERSION == 1
    assert golden_keys() == (GOLDEN_EMPTY, GOLDEN_SPEC, GOLDEN_CHAIN, GOLDEN_SEED)


def test_golden_canonical_json() -> None:
    question = Question(text="Grün?", expected="yes", dimension="D", about="a")
    assert canonical_json({"b": (1, 2.5, None, True), "a": question, "c": Colour.RED}) == (
        '{"a":{"about":"a","dimension":"D","expected":"yes","text":"Gr\\u00fcn?"},"b":[1,2.5,null,true],"c":"red"}'
    )
    assert canonical_json(OuterSpec()).endswith(
        f'"sampler":{{"num_steps":20,"shift":3.0,"spec_name":"sampler"}},"spec_name":"{__name__}:OuterSpec"}}'
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
    assert spec_part(WithRuntime()) == {"spec_name": f"{__name__}:WithRuntime", "steps": 3}
    assert spec_part({"machine": Machine(), "list": [Machine(), 1]}) == {"list": [1]}


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


def test_seeds_are_63_bits_and_differ_by_purpose() -> None:
    seeds = [
        seed_from_key(work_key("clip", None, index=i), *purpose) for i in range(200) for purpose in ((), ("a",), (1,))
    ]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) >= 2**62
