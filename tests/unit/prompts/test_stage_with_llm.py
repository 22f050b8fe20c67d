"""Writer, question writer and critic on a server, through the same stage, store and screen as the sandbox's."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from rushes.context import Context
from rushes.llm import call as call_module
from rushes.prompts.evaluation import evaluation
from rushes.prompts.objections import VERDICTS
from rushes.prompts.stage import write
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.models import CriticSpec, LlmQuestionsSpec, LlmWriterSpec, ServerModelSpec
from rushes.recipe.prompts import PromptsSpec, RealClipsSpec, ScreenSpec
from rushes.recipe.recipe import Recipe
from rushes.recipe.runtime import RuntimeSpec, ServerRuntime
from rushes.recipe.train import RealismSpec, TrainSpec
from rushes.records import Focus, Rejection, Verdict
from rushes.store.run import Run
from tests.support.odd_server import Handler, OddServer, asked_text, replies, status
from tests.support.sandbox_recipe import VBENCH_CATALOGUE, diagnose_spec, measure_spec, sandbox_recipe

MODEL = ServerModelSpec(model="writer")
WORDS = "ice snow wax butter tar glass lava tin cheese fat honey lead soap sugar steel".split()


def world(body: dict[str, Any]) -> str:
    """A model of few words: every prompt its own, each eighth one impossible, now and then garbage."""
    asked, last = asked_text(body), body["messages"][-1]["content"]
    number = int.from_bytes(hashlib.sha256(f"{asked} {body['seed']}".encode()).digest()[:6], "big")
    if "Write one new idea" in asked:
        if number % 11 == 0 and "cannot be used" not in last:
            return "Certainly! Let me think about that."
        some = [WORDS[number // 16**i % len(WORDS)] for i in range(6)]
        return json.dumps({"prompt": f"{'impossible ' if number % 8 == 0 else ''}{' '.join(some)} melts"})
    if "Write 1 questions" in asked:
        return json.dumps({"yes": [{"question": "Does it melt?"}], "no": [{"question": "Does it freeze?"}]})
    criterion = "impossible" if "impossible" in last else "none"
    return json.dumps({"criterion": criterion, "reason": "it says so"})


def recipe(url: str, *, critic: CriticSpec | None, seed: int = 0) -> Recipe:
    return sandbox_recipe(
        seed=seed,
        base=BaseModelSpec(model="a-model/that-can-read-any-word"),
        diagnose=diagnose_spec(catalogue=VBENCH_CATALOGUE, dimensions=("Thermotics",), num_prompts=3),
        measure=measure_spec(num_prompts=3, num_diversity_prompts=0),
        prompts=PromptsSpec(
            writer=LlmWriterSpec(model=MODEL, detailed=0),
            questions=LlmQuestionsSpec(model=MODEL, num_each=1),
            num_weakness=12,
            real=RealClipsSpec(num_clips=0),
            screen=ScreenSpec(critic=critic),
        ),
        train=TrainSpec(realism=RealismSpec(kind="none")),
        runtime=RuntimeSpec(servers={"main": ServerRuntime(url=url, num_retries=0)}),
    )


FOCUS = Focus(
    dimension="Thermotics", baseline=0.4, low=0.3, high=0.5, gap=0.6, share=1.0, num_prompts=12, reason="weak"
)  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_module, "backoff_s", lambda attempt, longest_s, draw: 0.0)


def written(home: Path, wanted: Recipe) -> tuple[list[str], list[Rejection], list[Verdict]]:
    with Run.open(home, wanted, allow_change=True) as run:
        context = Context(wanted, run)
        found = evaluation(context)
        prompts = write(context, [FOCUS], found, (), 0)
        for prompt in (*prompts, *found.probes, *found.held_out):
            assert [each.expected for each in prompt.questions] == ["yes", "no"]
        refused = list(run.read_derived("rejections", Rejection) or [])
        verdicts = list(run.read_derived("critic-round-0", Verdict) or [])
        return [prompt.text for prompt in prompts], refused, verdicts


def test_the_engine_end_to_end_and_again_for_nothing(tmp_path: Path) -> None:
    with OddServer(replies(world)) as server:
        wanted = recipe(server.url, critic=CriticSpec(model=MODEL))
        texts, refused, verdicts = written(tmp_path, wanted)
        assert len(texts) == 12 and not any("impossible" in text for text in texts)
        reasons = {each.reason for each in refused}
        assert "infeasible" in reasons and all("it says so" in r.detail for r in refused if r.reason == "infeasible")
        assert len(verdicts) == 24 and {each.criterion for each in verdicts} == {"none", "impossible"}
        num_asked = len(server.bodies)
        assert written(tmp_path, wanted) == (texts, refused, verdicts)
        assert len(server.bodies) == num_asked, "a finished stage asks nobody, the critic included"
    assert (tmp_path / "llm" / "replies").is_dir()


def test_the_critics_effect_can_be_switched_off(tmp_path: Path) -> None:
    with OddServer(replies(world)) as server:
        told, _, verdicts = written(
            tmp_path / "told", recipe(server.url, critic=CriticSpec(model=MODEL, enforce=False))
        )
        none, _, no_verdicts = written(tmp_path / "none", recipe(server.url, critic=None))
    assert told == none and any("impossible" in text for text in none)
    assert verdicts and not no_verdicts


def test_a_critic_that_is_busy_refuses_a_draft_for_this_run_only(tmp_path: Path) -> None:
    busy: set[str] = set()

    def moody(handler: Handler, body: dict[str, Any]) -> None:
        asked = body["messages"][-1]["content"]
        if "criterion" in str(body.get("response_format")) and len(busy) < 1:
            busy.add(asked)
        (status(500, "busy") if asked in busy else replies(world))(handler, body)

    with OddServer(moody) as server:
        wanted = recipe(server.url, critic=CriticSpec(model=MODEL))
        _, refused, verdicts = written(tmp_path / "run", wanted)
        assert [each.reason for each in refused].count("no_verdict") == 1 and len(verdicts) == 23
        with Run.open(tmp_path / "run", wanted, allow_change=True) as run:
            run.table(VERDICTS, Verdict)
            assert run.owes_work and [each.attempt for each in run.failures()] == [1]
        busy.clear()
        busy.add("nothing")
        texts, refused, verdicts = written(tmp_path / "run", wanted)
        assert (texts, refused, verdicts) == written(tmp_path / "straight", wanted)


def test_another_question_writer_is_other_work(tmp_path: Path) -> None:
    from rushes.dimensions import catalogue
    from rushes.prompts.briefs import Aim, plan_briefs

    aim = [Aim(catalogue(VBENCH_CATALOGUE)[0], 2)]
    specs = [None, LlmQuestionsSpec(model=MODEL), LlmQuestionsSpec(model=MODEL, num_each=3)]
    keys = {
        plan_briefs(aim, origin="probe", writer=LlmWriterSpec(model=MODEL), questions=each)[0].key for each in specs
    }
    assert len(keys) == 3
