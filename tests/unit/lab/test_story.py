"""The sentences of the page of results: what they claim, and that they claim nothing where nothing was run."""

from __future__ import annotations

from lab.arms import BEST, arms
from lab.outcomes import Result, together
from lab.story import story
from tests.support.outcomes import BUDGET, exactly, result

ARMS = arms()


def told(*results: Result) -> list[str]:
    return [*story(together(results, "own"), ARMS, BEST)]


def seeds(name: str, gain: float, num: int = 3, **changes: object) -> list[Result]:
    return [result(name, seed, {"A": exactly(gain, seed=seed)}, **changes) for seed in range(1, num + 1)]


def about(sentences: list[str], start: str) -> str:
    (found,) = [each for each in sentences if each.startswith(start)]
    return found


def test_feedback_is_what_the_shuffled_twin_does_not_gain() -> None:
    said = told(*seeds("crd", 0.3), *seeds("crd, shuffled within prompts", 0.1))
    assert about(said, "**The demo").startswith("**The demo (crd) gains +30.0 (")
    assert "-20.0 (" in about(said, "With the scores shuffled") and "clearly less" in about(said, "With the scores")
    assert about(said, "So ").startswith("So 20.0 points (")
    same = told(*seeds("crd", 0.3), *seeds("crd, shuffled within prompts", 0.3))
    assert about(same, "So ") == "So it is not shown that any of what crd gains is feedback."
    assert not [each for each in told(*seeds("crd", 0.3)) if each.startswith("So ")]


def test_no_gain_is_not_called_one_and_a_loss_is_called_that() -> None:
    assert "shows no clear change" in about(told(*seeds("crd", 0.0)), "**The demo")
    assert "loses -30.0" in about(told(*seeds("crd", -0.3)), "**The demo")


def test_verdicts_are_those_of_the_tables_where_all_arms_are_decided_together() -> None:
    """Seven prompts gain and none loses: enough alone, and not among eight."""
    seven = {name: gain + (0.1 if int(name[1:]) < 7 else 0.0) for name, gain in exactly(0.0).items()}
    crd, dpo = result("crd", 1, {"A": exactly(0.0)}), result("dpo", 1, {"A": seven})
    others = [
        result(name, 1, {"A": exactly(0.0)}) for name in ("nft", "online", "rvm", "awm", "art", "reward_gradient")
    ]
    more = [result("best of 4", 1, {"A": exactly(0.0)})]
    assert "clearly more: dpo" in about(told(crd, dpo), "One other objective")
    assert "clearly more" not in about(told(crd, dpo, *others, *more), "7 other objectives")


def test_fewer_seeds_and_what_was_not_run_are_said() -> None:
    said = told(*seeds("crd", 0.3), *seeds("dpo", 0.1, 1))
    assert about(said, "Fewer than 3 seeds: dpo (1). ")
    assert "nft" in about(said, "Not run, objectives") and "dpo" not in about(said, "Not run, objectives")
    assert about(told(*seeds("crd", 0.3, 1)), "Every arm has one seed")
    assert about(told(), "Not run, controls")


def test_gain_per_clip_judged_is_told_from_the_fewest_clips_on() -> None:
    few = seeds("a quarter of the clips", 0.1, budget=BUDGET.model_copy(update={"clips_judged": 250}))
    said = about(told(*seeds("crd", 0.3), *few), "250 clips judged gain +10.0")
    assert ", +40.0 per thousand; 1,008 clips judged gain +30.0" in said and ", +29.8 per thousand" in said
    assert said.endswith("Clearly less than the demo's: a quarter of the clips.")


def test_what_diversity_pays_is_a_share_of_its_value_and_no_dimension_that_fell_is_hidden() -> None:
    gains = {"A": exactly(0.3), "B": exactly(-0.3), "Diversity": exactly(-0.05)}
    said = told(*[result("crd", seed, gains) for seed in (1, 2, 3)])
    assert about(said, "Its Diversity falls by 10.0 % of its value")
    assert about(said, "Clearly worse: B") == "Clearly worse: B, of 3 measured."
