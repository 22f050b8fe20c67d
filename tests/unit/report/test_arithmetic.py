"""What is kept for the report's reference cost: formulas for released models, and which judges are counted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rushes.context import Context
from rushes.plan.arithmetic import UnitFlops, released_units
from rushes.recipe.load import load_recipe
from rushes.recipe.recipe import Recipe
from rushes.report import arithmetic
from rushes.roles import GivenAnswer, JudgeRequest
from rushes.store.run import Run
from tests.support.judged import make_clip, make_prompt, make_question

PLUGIN = "judge.judge={kind: plugin, use: 'tests.support.chatty_plugin:SilentSpec'}"


class ProductJudge:
    """Computes one matrix product of 2 x 3 x 4 x 5 FLOPs per request."""

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...]]:
        import torch

        torch.ones(3, 4) @ torch.ones(4, 5)
        return [tuple(GivenAnswer(0.5) for _ in request.questions) for request in requests]


def units(home: Path, *overrides: str) -> UnitFlops:
    """The units of a run with one clip of two questions; its model is never loaded."""
    recipe: Recipe = load_recipe("wan2.1-1.3b", overrides)
    prompt = make_prompt("one", make_question("a?"), make_question("b?"))
    with Run.open(home, recipe) as run:
        clip = make_clip(prompt, blobs=run.blobs)
        context = SimpleNamespace(
            recipe=recipe, runtime=recipe.runtime, run=run, base=SimpleNamespace(name="fingerprint"),
            prompts={prompt.key: prompt},
        )  # fmt: skip
        return arithmetic.unit_flops(cast(Context, context), [clip])


def judge_is(monkeypatch: pytest.MonkeyPatch, judge: object) -> list[object]:
    built: list[object] = []

    def build(*_: Any) -> object:
        built.append(judge)
        return judge

    monkeypatch.setattr(arithmetic, "build_answerer", build)
    return built


def test_a_released_model_goes_by_its_formulas_and_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = judge_is(monkeypatch, ProductJudge())
    formula = released_units(load_recipe("wan2.1-1.3b"))
    assert formula is not None
    first = units(tmp_path / "run", PLUGIN)
    assert first == formula.model_copy(update={"model": "fingerprint", "answer": 2 * 3 * 4 * 5 / 2})
    assert units(tmp_path / "run", PLUGIN) == first and len(built) == 1


@pytest.mark.parametrize(
    "judge",
    [
        "judge.judge.model.model=somebody/eyes-VL-7B",  # counted by its size
        "judge.judge={kind: vlm, model: {kind: server, model: large}}",
        "judge.judge={kind: plugin, use: 'tests.support.chatty_plugin:SilentSpec', options: {eyes: "
        "{kind: vlm, model: {kind: server, model: large}}}}",
    ],
)
def test_no_other_judge_is_asked_again(judge: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = judge_is(monkeypatch, ProductJudge())
    assert units(tmp_path / "run", judge, "runtime.servers={main: {url: 'http://localhost:1/v1'}}").answer is None
    assert not built


def test_workers_are_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = judge_is(monkeypatch, ProductJudge())
    assert units(tmp_path / "run", PLUGIN, "runtime.executor=ray").answer is None
    assert not built


def test_a_judge_that_fails_now_keeps_no_run_from_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge_is(monkeypatch, SimpleNamespace(answer=lambda requests: 1 / 0))
    assert units(tmp_path / "run", PLUGIN).answer is None
