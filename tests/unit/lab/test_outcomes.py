"""What is kept of an arm: read back as it was, by prompt, and refused when it is something else."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import pytest

from lab.outcomes import Outcome, difference, measured, read, together, write
from rushes.errors import InputError
from rushes.records import PromptGain
from tests.support.judged import key
from tests.support.outcomes import outcome, result, spread


def _gain(dimension: str, prompt: str, before: float, after: float) -> PromptGain:
    return PromptGain(dimension=dimension, prompt_key=key(prompt), before=before, after=after, num_pairs=1)


def test_prompts_of_one_text_are_one_cluster_and_have_one_name_in_every_arm() -> None:
    gains = [_gain("A", "p", 0.0, 1.0), _gain("A", "q", 0.5, 0.5), _gain("A", "r", 1.0, 0.0), _gain("B", "p", 0.0, 0.0)]
    texts = {key("p"): "a red circle", key("q"): "a red circle", key("r"): "a blue one"}
    found = measured(gains, texts)
    assert sorted(found["A"].gains.values()) == [-1.0, 0.5] and len(found["B"].gains) == 1
    assert (found["A"].before, found["A"].after) == (pytest.approx(fmean([0.25, 1])), pytest.approx(fmean([0.75, 0])))
    assert set(found["B"].gains) <= set(found["A"].gains)
    assert all(len(name) == 12 for name in found["A"].gains)


def test_what_is_kept_is_read_back_by_split_and_comparison_and_a_second_time_replaced(tmp_path: Path) -> None:
    made = [
        result("nft, 2 rounds", 2, {"A": spread(0.1)}),
        result("nft, 2 rounds", 1, {"A": spread(0.2)}),
        result("nft", 1, {"A": spread(0.3)}, equal="steps"),
        result("nft", 1, {"A": spread(0.3)}, split="test"),
    ]
    for each in [made[0].model_copy(update={"commit": "an earlier one"}), *made]:
        write(each, tmp_path)
    kept = read(tmp_path, "development")
    assert len(kept) == 3 and read(tmp_path, "test") == [made[3]] and read(tmp_path, "seen") == []
    assert together(kept, "own")["nft, 2 rounds"].results == (made[1], made[0])
    assert list(together(kept, "steps")) == ["nft"]


def test_a_file_that_is_something_else_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = write(result("nft", 1, {"A": spread(0.1)}), tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace('"steps"', '"stairs"'), encoding="utf-8")
    with pytest.raises(InputError) as error:
        read(tmp_path, "development")
    assert str(path) in str(error.value) and f"rm '{path}'" in str(error.value)


def test_a_focus_that_was_not_measured_whole_has_no_gain_and_is_not_zero() -> None:
    half = result("half", 1, {"A": spread(0.1)}, focus=("A", "B"))
    assert half.focus_gain is None and half.focus_gains.keys() == {"A"}
    assert result("whole", 1, {"A": {"p": 0.5}, "C": {"p": -1.0}}).focus_gain == 0.5


def test_arms_of_different_machines_are_paired_by_prompt() -> None:
    one, other = outcome("one", {"A": spread(0.1)}), outcome("other", {"A": spread(0.3)})
    elsewhere = Outcome("other", tuple(each.model_copy(update={"machine": "else"}) for each in other.results))
    found, same = difference(elsewhere, one), difference(other, one)
    assert found is not None and same is not None and found.gain == same.gain
