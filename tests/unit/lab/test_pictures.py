"""Pictures of arms: well-formed, every arm in them, marks on the right side of 0."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from lab.pictures import forest, gain_by_clips, side_by_side, spread
from tests.support.outcomes import outcome, result
from tests.support.outcomes import spread as gains

SVG = "{http://www.w3.org/2000/svg}"
ARMS = [outcome(name, {"A": gains(mean)}) for name, mean in (("up & away", 0.3), ("even", 0.0), ("down", -0.3))]


@pytest.mark.parametrize("made", [forest({"One": ARMS, "None": []}), gain_by_clips(ARMS)], ids=["forest", "clips"])
def test_every_arm_is_in_the_picture_and_shapes_say_what_colours_say(made: str) -> None:
    root = ElementTree.fromstring(made)
    texts = [each.text for each in root.iter(f"{SVG}text")]
    assert {arm.name for arm in ARMS} <= set(texts) and "None" not in texts
    squares, circles = list(root.iter(f"{SVG}rect")), list(root.iter(f"{SVG}circle"))
    assert [each.get("class") for each in squares] == ["down"]
    assert [(each.get("class"), each.get("fill-opacity")) for each in circles] == [("up", None), ("open", "0")]


def test_an_arm_of_fewer_seeds_says_so() -> None:
    arms = [ARMS[0], outcome("several", {"A": gains(0.1)}, {"A": gains(0.1, seed=1)})]
    texts = [each.text for each in ElementTree.fromstring(forest({"One": arms})).iter(f"{SVG}text")]
    assert "up & away (1 of 2 seeds)" in texts and "several" in texts


def test_a_gain_is_right_of_zero_and_a_loss_left_of_it() -> None:
    root = ElementTree.fromstring(forest({"One": ARMS}))
    (zero,) = [float(each.get("x1", "")) for each in root.iter(f"{SVG}line") if each.get("class") == "zero"]
    dots = {each.get("class"): float(each.get("cx", "")) for each in root.iter(f"{SVG}circle")}
    (square,) = root.iter(f"{SVG}rect")
    assert float(square.get("x", "")) + 9 < zero < dots["up"]
    assert dots["open"] == pytest.approx(zero, abs=20)


def test_labels_and_marks_do_not_cover_each_other() -> None:
    assert spread([10, 11, 50], 16, 100) == [10, 26, 50]
    assert spread([90, 95, 99], 16, 100) == [68, 84, 100]
    assert side_by_side([5, 5, 9, 5], 2) == [3, 5, 9, 7]


def test_an_arm_without_clips_stands_at_zero() -> None:
    free = [
        result("free", 1, {"A": gains(0.1)}, budget=ARMS[0].results[0].budget.model_copy(update={"clips_judged": 0}))
    ]
    assert "free" in gain_by_clips([type(ARMS[0])("free", tuple(free))])
