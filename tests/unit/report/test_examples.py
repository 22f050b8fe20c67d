"""Examples are chosen by rule from the measurements."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from synthetic_run import key

from rushes.measure.pairs import Pair
from rushes.records import Measurement, Part, Scored, Unscored
from rushes.report.examples import Choice, choose_examples


def pair(
    name: str, before: float | None, after: float | None, parts: tuple[float, float] = (0, 0), takes: int = 1
) -> Pair:
    def side(value: float | None, part: float) -> Measurement:
        scored = Scored(value=value, parts=(Part(name="q", value=part),)) if value is not None else None
        return Measurement(
            key=key(name, "measurement"),
            subject=tuple(key(name, take) for take in range(takes)),
            dimension=name.split("/")[0],
            prompt_key=key(name),
            measurer="tester",
            outcome=scored or Unscored(reason="dark"),
        )

    return Pair(name.split("/")[0], key(name), tuple(range(takes)), side(before, parts[0]), side(after, parts[1]))


def chosen(found: tuple[Choice, ...]) -> list[tuple[str, str]]:
    return [(choice.rule, choice.pair.prompt_key) for choice in found]


def test_largest_gain_median_and_largest_loss_whatever_the_order() -> None:
    pairs = [
        pair("A/1", 0.2, 0.9),
        pair("A/2", 0.5, 0.6),
        pair("A/3", 0.5, 0.5),
        pair("A/4", 0.5, 0.4),
        pair("A/5", 1, 0),
    ]
    expected = [("largest gain", key("A/1")), ("typical", key("A/3")), ("largest loss", key("A/5"))]
    for order in itertools.permutations(pairs):
        assert chosen(choose_examples(order, ["A"])) == expected


def test_ties_go_to_the_one_with_more_questions_put_right_then_to_the_key() -> None:
    pairs = [pair("A/1", 0, 1, (0.5, 1)), pair("A/2", 0, 1, (0, 1)), pair("A/3", 0, 1, (0.2, 1))]
    assert chosen(choose_examples(pairs, ["A"]))[0] == ("largest gain", key("A/2"))
    same = [pair(f"A/{i}", 0, 1) for i in range(9)]
    assert chosen(choose_examples(same, ["A"]))[0][1] == min(key(f"A/{i}") for i in range(9))


def test_names_do_not_claim_a_gain_or_a_loss_that_is_none() -> None:
    only_losses = [pair("A/1", 0.9, 0.8), pair("A/2", 0.9, 0.5), pair("A/3", 0.9, 0.1)]
    assert [choice.rule for choice in choose_examples(only_losses, ["A"])] == [
        "smallest loss",
        "typical",
        "largest loss",
    ]
    nothing = [pair(f"A/{i}", 0.5, 0.5) for i in range(3)]
    assert [choice.rule for choice in choose_examples(nothing, ["A"])] == ["no gain", "typical", "no loss"]
    only_gains = [pair("A/1", 0.1, 0.8), pair("A/2", 0.1, 0.5), pair("A/3", 0.1, 0.2)]
    assert [choice.rule for choice in choose_examples(only_gains, ["A"])][-1] == "smallest gain"


def test_each_pair_is_shown_once_and_unusable_ones_never() -> None:
    assert chosen(choose_examples([pair("A/1", 0, 1)], ["A"])) == [("largest gain", key("A/1"))]
    two = choose_examples([pair("A/1", 0, 1), pair("A/2", 1, 0)], ["A"])
    assert chosen(two) == [("largest gain", key("A/1")), ("largest loss", key("A/2"))]
    unusable = [pair("A/1", None, 1.0), pair("A/2", 0.0, None), pair("A/3", 0.2, 0.9, takes=3)]
    assert choose_examples(unusable, ["A"]) == ()


def test_dimensions_come_in_the_order_asked_for() -> None:
    pairs = [pair("A/1", 0, 1), pair("B/1", 0, 1), pair("C/1", 0, 1)]
    assert [choice.pair.dimension for choice in choose_examples(pairs, ["C", "A", "missing"])] == ["C", "A"]
