"""Crops that a server is asked about together: requests counted, replies strict, what cannot be used asked singly."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from rushes.llm.chat import TOO_MANY_IMAGES, ChatReply, ChatRequest
from rushes.plan.chat_models import measuring_requests
from rushes.recipe.load import parse_recipe
from rushes.roles import Failed
from rushes.store.identity import content_hash
from rushes_vbench.metrics.anatomy import human_anatomy
from rushes_vbench.metrics.build import build_models
from rushes_vbench.metrics.core import Unanswered
from rushes_vbench.metrics.crops import JudgedTogether, said_of_each
from rushes_vbench.metrics.detectors import JudgedAnomaly
from rushes_vbench.metrics.grouping import in_groups
from rushes_vbench.metrics.measurer import VBenchMeasurerSpec
from rushes_vbench.metrics.models import Crop
from rushes_vbench.metrics.together import alone
from rushes_vbench.metrics.uses import chat_uses
from tests.support.vbench_clips import ScriptedJudge
from tests.unit.vbench.metrics.test_together import Everyone

SERVED = {"kind": "vlm", "model": {"kind": "server", "server": "eyes", "model": "m"}}


class Chat:
    """A chat model that says what a function of the number of pictures gives."""

    name = "m"

    def __init__(self, says: Callable[[int], str | Failed]) -> None:
        self._says, self.sizes = says, list[int]()
        self.words = list[str]()

    def reply(self, requests: Sequence[ChatRequest]) -> list[ChatReply | Failed]:
        sizes = [len(request.messages[-1].images) for request in requests]
        self.sizes += sizes
        self.words += [request.messages[-1].text for request in requests]
        said = [self._says(num) for num in sizes]
        return [each if isinstance(each, Failed) else ChatReply(each) for each in said]


def crops(num: int, part: str = "hand") -> list[Crop]:
    return [(np.full((32, 32, 3), i, np.uint8), part) for i in range(num)]


def listed(num: int) -> str:
    """The first of so many crops is wrong."""
    return json.dumps(["yes", *["no"] * (num - 1)])


def rated(chat: Chat, num: int, *p_alone: float) -> tuple[list[float] | Exception, ScriptedJudge]:
    judge = ScriptedJudge(*p_alone)
    (found,) = JudgedTogether(JudgedAnomaly(judge), chat, 8, 224).p_abnormal_of([crops(num)])
    return found, judge


def test_a_group_is_one_request_and_each_crop_has_its_own_word() -> None:
    chat = Chat(listed)
    found, judge = rated(chat, 5)
    assert found == [1.0, 0.0, 0.0, 0.0, 0.0] and chat.sizes == [5] and not judge.seen
    assert "5 separate pictures" in chat.words[0] and "hand" in chat.words[0]


@pytest.mark.parametrize("said", ["no", '["no"]', '["no", "no", "maybe"]', "[0, 1, 0]", "[", '["no","no","no","no"]'])
def test_a_reply_that_is_no_word_for_each_crop_is_asked_singly(said: str) -> None:
    found, judge = rated(Chat(lambda num: said), 3, 0.1, 0.9, 0.2)
    assert found == [0.1, 0.9, 0.2] and len(judge.seen) == 3


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ('["No", " yes "]', [False, True]),
        ('```json\n["no", "yes"]\n```', [False, True]),
        ('<think>["yes", "yes"]</think>["no", "yes"]', [False, True]),
        ('["no", "yes"] or ["yes", "no"]', None),
        ('["no", "yes"] ["no"]', None),
        ('["no", yes]', None),
        ('["no", true]', None),
        ("[[]]", None),
        ("", None),
    ],
)
def test_only_a_list_of_as_many_words_is_an_answer(reply: str, found: list[bool] | None) -> None:
    assert said_of_each(reply, 2) == found


def test_a_server_that_allows_fewer_images_gets_smaller_groups_from_then_on() -> None:
    limit = Failed(TOO_MANY_IMAGES, "3 images are allowed", retry="useless")
    chat = Chat(lambda num: limit if num > 3 else listed(num))
    together = JudgedTogether(JudgedAnomaly(ScriptedJudge()), chat, 8, 224)
    with pytest.warns(UserWarning, match="allows 3 images"):
        (found,) = together.p_abnormal_of([crops(8)])
    assert isinstance(found, list) and len(found) == 8 and chat.sizes == [8, 2, 3, 3]
    together.p_abnormal_of([crops(6)])
    assert chat.sizes[4:] == [3, 3]


def test_a_server_that_allows_one_image_is_asked_singly() -> None:
    with pytest.warns(UserWarning, match="allows 1 images"):
        found, judge = rated(Chat(lambda num: Failed(TOO_MANY_IMAGES, "1 image", retry="useless")), 3, 0.1, 0.2, 0.3)
    assert found == [0.1, 0.2, 0.3] and len(judge.seen) == 3


def test_a_request_that_failed_now_is_no_outcome() -> None:
    found, judge = rated(Chat(lambda num: Failed("Http500", "busy")), 3)
    assert isinstance(found, Unanswered) and not judge.seen


def test_crops_of_one_part_and_one_clip_stand_together_and_find_their_person() -> None:
    """Four frames with a person, a face and a hand each: three requests of four, and a wrong first one of each part."""
    chat = Chat(listed)
    together = JudgedTogether(JudgedAnomaly(ScriptedJudge()), chat, 8, 224)
    outcome: Any = alone(human_anatomy(np.zeros((4, 64, 64, 3), np.uint8), "fixed", Everyone(), together))
    assert chat.sizes == [4, 4, 4] and outcome.value == 0.75
    assert [next(p for p in ("human", "face", "hand") if p in words) for words in chat.words] == [
        "human",
        "face",
        "hand",
    ]


def test_groups_are_even() -> None:
    assert [len(group) for group in in_groups(range(9), 8)] == [4, 5]
    assert [len(group) for group in in_groups(range(24), 8)] == [8, 8, 8]
    assert [i for group in in_groups(range(11), 3) for i in group] == list(range(11))


def test_who_is_asked_together_and_what_it_costs() -> None:
    pytest.importorskip("openai")
    plain = VBenchMeasurerSpec.model_validate({"judge": SERVED})
    judged = VBenchMeasurerSpec.model_validate({"judge": SERVED, "anomaly": "judge", "detector": "owlv2"})
    single = VBenchMeasurerSpec.model_validate({"judge": SERVED, "anomaly": "judge", "crops_together": 1})
    assert plain.version() == single.version() == "5" != judged.version()
    assert content_hash(plain) == content_hash(
        VBenchMeasurerSpec.model_validate({"judge": SERVED, "crops_together": 8})
    )
    runtime = parse_recipe("from: sandbox", source="r", overrides=["runtime.servers.eyes.url=http://h/v1"]).runtime
    built = build_models(judged.model_copy(update={"detector": ""}), runtime)
    assert isinstance(built.anomaly, JudgedTogether) and isinstance(
        build_models(single, runtime).anomaly, JudgedAnomaly
    )
    use = {each.name: each for each in chat_uses(judged, ["Human_Anatomy", "Mechanics"])}["judge of crops"]
    assert (use.num_calls, use.num_frames) == (324 / 8 / 2, 8)


def test_a_plan_counts_the_requests_of_the_measurer() -> None:
    text = "from: wan2.1-1.3b\ndiagnose: {dimensions: [Human_Anatomy], focus: [Human_Anatomy], num_prompts: 10}\n"
    options = f"{{judge: {SERVED}, anomaly: judge, detector: owlv2, crops_together: %d}}"
    found = [
        measuring_requests(
            parse_recipe(text, source="r", overrides=[f"measure.measurer={{use: vbench2, options: {options % num}}}"])
        )[-1]
        for num in (1, 8)
    ]
    assert [each.name for each in found] == ["judge of crops"] * 2 and found[0].model == "m"
    assert found[0].num == pytest.approx(8 * found[1].num, abs=8) and found[0].num > 10 * 324
