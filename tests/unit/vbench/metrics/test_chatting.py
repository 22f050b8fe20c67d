"""Chat models that describe and compare: through a server that misbehaves, and a tiny model run here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rushes.errors import RecipeError, UserError
from rushes.judge.vlm_local import LocalVlmJudge
from rushes.llm import call as call_module
from rushes.recipe.load import parse_recipe
from rushes.recipe.models import LocalModelSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.runtime import RuntimeSpec, ServerRuntime
from rushes.recipe.template import recipe_yaml
from rushes.records import Scored, Unscored
from rushes.roles import Failed, Runtime, Subject, Video
from rushes_vbench.metrics.build import build_models
from rushes_vbench.metrics.chat_specs import LlmTextJudgeSpec, VlmTellerSpec
from rushes_vbench.metrics.chatting import ChatTextJudge, LocalTeller, NoWords
from rushes_vbench.metrics.measurer import VBenchMeasurer, VBenchMeasurerSpec
from rushes_vbench.suite import Suite
from tests.support.odd_server import OddServer, asked_text, cut_off, raw, replies, says, status
from tests.support.tiny_vlm import make_qwen
from tests.support.vbench_clips import entry

EVENTS = ("a boy opens a door", "he walks out", "rain begins")
SUITE = Suite((entry("Complex_Plot", *EVENTS, prompt="A boy."),), "modified", "made up")
CLIP = Video(np.random.default_rng(0).integers(0, 255, (20, 40, 56, 3), dtype=np.uint8), 8.0)
SERVER = {"kind": "server", "model": "tiny"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai")
    monkeypatch.setattr(call_module, "backoff_s", lambda attempt, longest_s, draw: 0.01)


def runtime(url: str) -> RuntimeSpec:
    return RuntimeSpec(servers={"main": ServerRuntime(url=url, num_retries=1)})


def measurer(url: str, **options: Any) -> VBenchMeasurer:
    spec = VBenchMeasurerSpec.model_validate(
        {"teller": {"kind": "vlm", "model": SERVER}, "text_judge": {"kind": "llm", "model": SERVER}} | options
    )
    return VBenchMeasurer(SUITE, spec.profile, build_models(spec, runtime(url)))


def plot() -> list[Subject]:
    return [Subject("Complex_Plot", "A boy.", (), (CLIP,))]


def storyteller(body: dict[str, Any]) -> str:
    """Describes where frames are shown; aligns where it is told what was observed."""
    if isinstance(body["messages"][-1]["content"], list):
        return "1. A boy opens a door.\n2. It rains.\n3. He walks out."
    return "The places are [1, 3, 2]."


def test_a_described_dimension_through_a_server() -> None:
    with OddServer(replies(storyteller)) as server:
        (found,) = measurer(server.url, num_told=5).measure(plot())
    assert isinstance(found, Scored) and found.value == pytest.approx(2 / 3)
    told, compared = server.bodies
    *images, words = told["messages"][-1]["content"]
    assert len(images) == 5 and all(each["type"] == "image_url" for each in images)
    assert "5 frames are taken from it" in words["text"] and told["temperature"] == 0
    assert [each["role"] for each in compared["messages"]] == ["system", "user"]
    assert all(event in asked_text(compared) for event in EVENTS) and "He walks out" in asked_text(compared)


def test_what_passes_is_measured_again_and_what_stays_is_unscored() -> None:
    with OddServer(raw(b'{"choices": [')) as server:
        (broken,) = measurer(server.url).measure(plot())
    assert isinstance(broken, Failed) and broken.error_type == "BadReply"
    with OddServer(status(400, "maximum context length is 4096 tokens")) as server:
        (long,) = measurer(server.url).measure(plot())
    assert isinstance(long, Unscored) and "num_told" in long.reason
    with OddServer(cut_off("1. A boy opens")) as server:
        (endless,) = measurer(server.url).measure(plot())
    assert isinstance(endless, Unscored) and "did not end within 1024 tokens" in endless.reason
    with OddServer(says("I cannot see a video.")) as server:
        (refused,) = measurer(server.url).measure(plot())
    assert isinstance(refused, Unscored) and "not a numbered list" in refused.reason
    with OddServer(status(401)) as server, pytest.raises(UserError, match="needs a key"):
        measurer(server.url).measure(plot())


def test_a_text_judge_that_is_cut_off_keeps_its_verdict() -> None:
    spec = LlmTextJudgeSpec.model_validate({"model": SERVER, "max_tokens": 16})
    with OddServer(cut_off("Yes, because the boy")) as server:
        judge = spec.build(runtime(server.url))
        messages = [{"role": "system", "content": "Compare."}, {"role": "user", "content": "a and b"}]
        assert isinstance(judge, ChatTextJudge) and judge.reply(messages) == "Yes, because the boy"
    assert server.bodies[0]["max_tokens"] == 16


@pytest.mark.parametrize("text", ["", "<think>\nYes or no? The boy says yes, but", "<think>yes</think>"])
def test_a_reply_of_thoughts_alone_is_no_verdict(text: str) -> None:
    spec = LlmTextJudgeSpec.model_validate({"model": SERVER, "max_tokens": 16})
    with OddServer(cut_off(text)) as server, pytest.raises(NoWords, match="enable_thinking"):
        spec.build(runtime(server.url)).reply([{"role": "user", "content": "a and b"}])


def test_thoughts_before_a_verdict_are_left_out() -> None:
    spec = LlmTextJudgeSpec.model_validate({"model": SERVER})
    with OddServer(says("<think>is it yes?</think>No.")) as server:
        assert spec.build(runtime(server.url)).reply([{"role": "user", "content": "a and b"}]) == "No."


@pytest.mark.filterwarnings("ignore:the video processor")
def test_a_local_model_describes_word_by_word_the_most_probable(tmp_path: Path) -> None:
    """Against a loop that takes the most probable word each time, every word from a whole pass."""
    make_qwen(tmp_path)
    spec = VlmTellerSpec(model=LocalModelSpec(model=str(tmp_path)), max_tokens=16)
    teller = spec.build(RuntimeSpec())
    assert isinstance(teller, LocalTeller)
    vlm, few = teller.vlm, Video(CLIP.frames_THWC[:2], 8.0)
    vlm.model.generation_config.eos_token_id = None
    with pytest.raises(NoWords, match="did not end within 16 tokens"):
        teller.tell(few, "what moves?")

    from rushes.llm.chat import Message

    inputs = dict(vlm.inputs([vlm.as_text([Message("user", "what moves?")], 2)], few.frames_THWC))
    written: list[int] = []
    for _ in range(4):
        with torch.no_grad():
            best = int(vlm.model(**inputs).logits[0, -1].argmax())
        written.append(best)
        for name, more in (("input_ids", best), ("attention_mask", 1), ("mm_token_type_ids", 0)):
            if name in inputs:
                inputs[name] = torch.cat([inputs[name], torch.tensor([[more]])], dim=1)
    # The fourth word ends the description: what stands before it is what was said.
    vlm.model.generation_config.eos_token_id = written[3]
    end = written.index(written[3]) + 1
    said = vlm.processor.tokenizer.decode(written[:end], skip_special_tokens=True).strip()
    assert teller.tell(few, "what moves?") == said


def test_one_local_model_for_judge_and_teller_is_loaded_once(tmp_path: Path) -> None:
    model = {"kind": "transformers", "model": str(tmp_path)}
    eyes = {"kind": "vlm", "model": model}
    spec = VBenchMeasurerSpec.model_validate({"judge": eyes, "teller": eyes})
    found = build_models(spec, Runtime())
    assert isinstance(found.judge, LocalVlmJudge) and isinstance(found.teller, LocalTeller)
    assert found.judge.vlm is found.teller.vlm and found.num_told == 64


RECIPE = """
from: sandbox
measure:
  measurer:
    kind: plugin
    use: rushes_vbench.metrics.measurer:VBenchMeasurerSpec
    options:
      suite: installed
      judge: {kind: vlm, model: {kind: server, server: eyes, model: big-eyes}, num_frames: 16}
      teller: {kind: vlm, model: {kind: server, server: eyes, model: big-eyes}}
      text_judge: {kind: llm, model: {kind: server, model: writer}}
"""


def test_a_recipe_names_them_as_sections_of_the_plug_in() -> None:
    from rushes.plugins import MEASURER, plugin

    recipe = parse_recipe(RECIPE, source="r")
    assert parse_recipe(recipe_yaml(recipe), source="written") == recipe
    assert isinstance(recipe.measure.measurer, PluginSpec)
    spec = plugin(recipe.measure.measurer, MEASURER)
    assert isinstance(spec, VBenchMeasurerSpec) and isinstance(spec.teller, VlmTellerSpec)
    assert spec.text_judge == LlmTextJudgeSpec.model_validate({"model": {"kind": "server", "model": "writer"}})


def test_a_mistake_inside_names_the_place() -> None:
    from rushes.plugins import MEASURER, plugin

    recipe = parse_recipe(RECIPE.replace("kind: llm, model", "kind: llm, modl"), source="r")
    with pytest.raises(RecipeError, match=r"text_judge\.llm\.model'"):
        plugin(recipe.measure.measurer, MEASURER)  # type: ignore[arg-type]
