"""The four dimensions of descriptions and comparisons, on scripted replies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from rushes.records import Outcome, Scored, Unscored
from rushes.roles import Video
from rushes_vbench.metrics.core import Profile, is_not_applicable
from rushes_vbench.metrics.models import Message
from rushes_vbench.metrics.telling import by_telling
from rushes_vbench.metrics.together import alone
from rushes_vbench.suite import SuiteEntry
from tests.support.vbench_clips import entry

CLIP = Video(np.zeros((80, 16, 16, 3), np.uint8), 16.0)
EVENTS = ("The sun rises.", "A bird lands.", "Rain falls.", "A boat leaves.", "Night comes.")


class Script:
    """Both models: gives prepared replies in order, remembers what it was asked, and refuses to be asked more."""

    def __init__(self, tells: Sequence[str], replies: Sequence[str]) -> None:
        self.tells, self.replies = list(tells), list(replies)
        self.asked: list[str] = []

    def tell(self, video: Video, instruction: str) -> str:
        assert len(video.frames_THWC) == 64
        return self.tells.pop(0)

    def reply(self, messages: Sequence[Message]) -> str:
        assert [message["role"] for message in messages] == ["system", "user"]
        self.asked.append(messages[-1]["content"])
        return self.replies.pop(0)


def told(item: SuiteEntry, profile: Profile, tells: Sequence[str], *replies: str) -> tuple[Outcome, Script]:
    script = Script(tells, replies)
    outcome = alone(by_telling(CLIP, item, profile, script, script))
    assert not script.tells and not script.replies, "the models were asked less than scripted"
    return outcome, script


def value(outcome: Outcome) -> float | None:
    return outcome.value if isinstance(outcome, Scored) else None


ACTIONS = entry("Motion_Order_Understanding", "sitting", "sweeping")


def test_motion_order_compat() -> None:
    found, script = told(ACTIONS, "compat", ["1. He sits. 2. He sweeps."], "Yes", "yes, he does")
    assert value(found) == 1.0
    assert "sitting" in script.asked[0] and "He sits." in script.asked[0] and "He sweeps." in script.asked[1]
    assert value(told(ACTIONS, "compat", ["1. He sits. 2. He sweeps."], "Yes", "No")[0]) == 0.0
    assert is_not_applicable(told(ACTIONS, "compat", ["He sits, then sweeps"])[0])


def test_motion_order_fixed() -> None:
    listed = ["1. He sits.\n2. He stands up.\n3. He sweeps."]
    found, script = told(ACTIONS, "fixed", listed, "[1, 3]")
    assert value(found) == 1.0 and "3. He sweeps." in script.asked[0]
    assert value(told(ACTIONS, "fixed", listed, "[3, 1]")[0]) == 0.0
    assert value(told(ACTIONS, "fixed", listed, "[1, 0]")[0]) == 0.0
    assert value(told(ACTIONS, "fixed", ["1. He sits."], "[1, 0]")[0]) == 0.0
    unread = told(ACTIONS, "fixed", listed, "both")[0]
    assert isinstance(unread, Unscored) and "2 item numbers" in unread.reason and not is_not_applicable(unread)
    assert isinstance(told(ACTIONS, "fixed", ["He sits, then sweeps"])[0], Unscored)


@pytest.mark.parametrize("profile", ["compat", "fixed"])
def test_interaction(profile: Profile) -> None:
    item = entry("Human_Interaction", prompt="One person hands a cup to another.")
    tells = ["A hands a cup to B.", "Two people stand in a kitchen."]
    found, script = told(item, profile, tells, "Yes", "Yes")
    assert value(found) == 1.0
    assert "One person hands a cup to another." in script.asked[0] and "kitchen" in script.asked[1]
    assert value(told(item, profile, tells, "Yes", "No")[0]) == 0.0
    assert value(told(item, profile, tells, "No", "Yes")[0]) == 0.0


def test_an_unclear_comparison() -> None:
    item = entry("Human_Interaction", prompt="p")
    unclear = told(item, "fixed", ["a", "b"], "It depends")[0]
    assert isinstance(unclear, Unscored) and "It depends" in unclear.reason
    assert value(told(item, "compat", ["a", "b"], "It depends", "yes")[0]) == 0.0
    assert isinstance(told(item, "fixed", [" "])[0], Unscored)


def test_landscape_compat_counts_from_the_start() -> None:
    item = entry("Complex_Landscape", *EVENTS)
    summary = "1. Sun. 2. Bird. 3. Snow. 4. Boat. 5. Night."
    found, script = told(item, "compat", ["a caption"], summary, "yes", "yes", "no")
    assert value(found) == pytest.approx(2 / 5)
    assert "a caption" in script.asked[0] and "Snow." in script.asked[3]


def test_landscape_compat_forgets_the_caption_after_the_first_event() -> None:
    found, script = told(entry("Complex_Landscape", *EVENTS), "compat", ["c"], "No list.", "Yes, the sun.", "no")
    assert value(found) == pytest.approx(1 / 5)
    assert "No list." in script.asked[1] and "Yes, the sun." in script.asked[2]


def test_plot_compat() -> None:
    item = entry("Complex_Plot", *EVENTS)
    listed = "1. a 2. b 3. c 4. d 5. e"
    assert value(told(item, "compat", [listed], *["yes"] * 5)[0]) == 1.0
    found, script = told(item, "compat", ["It rains."], "yes", "no")
    assert value(found) == pytest.approx(1 / 5) and all("It rains." in asked for asked in script.asked)
    found, _ = told(item, "compat", [listed + " 6. f", "caption"], "1. a 2. b", "yes", "yes")
    assert value(found) == pytest.approx(2 / 5)
    found, script = told(item, "compat", ["Plot: 1. a 2. b"], "yes", "no")
    assert "Plot:" in script.asked[0], "officially a preamble is taken for the first event"


def test_an_item_too_many_loses_nothing() -> None:
    item = entry("Complex_Landscape", *EVENTS[:2])
    assert value(told(item, "compat", ["c"], "1. a 2. b 3. c", "yes", "yes")[0]) == 1.0


@pytest.mark.parametrize("name", ["Complex_Landscape", "Complex_Plot"])
def test_events_fixed_forgive_one_early_miss(name: str) -> None:
    found, _ = told(entry(name, *EVENTS), "fixed", ["Here:\n1. a\n2. b\n3. c\n4. d\n5. e\n6. f"], "[0, 2, 3, 4, 6]")
    assert isinstance(found, Scored) and found.value == pytest.approx(4 / 5)
    assert {part.name: part.value for part in found.parts}["from the start"] == 0.0
    assert value(told(entry(name, *EVENTS), "fixed", ["1. a\n2. b"], "[2, 1, 0, 0, 0]")[0]) == pytest.approx(1 / 5)


def test_misuse() -> None:
    with pytest.raises(ValueError, match="not decided by descriptions"):
        told(entry("Material", "a?"), "fixed", [])
