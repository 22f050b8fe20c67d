"""From the last stages' records to the scorecard: what is resampled together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rushes.measure.shown import SHARE_SHOWN
from rushes.plan.arithmetic import UnitFlops
from rushes.recipe.load import load_recipe
from rushes.records import Clip, Focus, Part, Prompt, Scorecard, Scored
from rushes.report.collect import Result
from rushes.store.run import Run
from tests.support.measured_clips import Stand, key

GAINS = (0.5, 0.25, -0.5, 0.0, 1.0, -0.25, 0.75, 0.5, -0.75, 0.25, 0.0, 0.5)


def prompt_of(dimension: str, number: int, text: str) -> Prompt:
    return Prompt(
        key=key("prompt", dimension, number),
        text=text,
        base_text=text,
        dimension=dimension,
        origin="held_out",
        index=number,
    )


def focus_of(name: str) -> Focus:
    return Focus(dimension=name, baseline=0.5, low=0.4, high=0.6, gap=0.5, share=0.5, num_prompts=12, reason="named")


def card_of(home: Path, *, shared: bool, seed: int = 0, share_shown: float | None = None) -> Scorecard:
    """What one dimension gains on a prompt the other loses, on prompts of the same texts or of others."""
    stand = Stand()
    for name, sign in (("A", 1), ("B", -1)):
        stand.add(name, [0.5 - sign * gain / 2 for gain in GAINS], [0.5 + sign * gain / 2 for gain in GAINS])
    prompts = [
        prompt_of(name, number, f"prompt {number}{'' if shared else f' of {name}'}")
        for name in "AB"
        for number in range(len(GAINS))
    ]
    recipe = load_recipe("sandbox", [f"seed={seed}"])
    with Run.open(home, recipe) as run:
        video = run.blobs.put_video(np.zeros((3, 8, 8, 3), np.uint8))
        clips: dict[str, Clip] = {each.key: each.model_copy(update={"video": video}) for each in stand.clips}
        if share_shown is not None:
            outcome = Scored(value=0.5, parts=(Part(name=SHARE_SHOWN, value=share_shown),))
            stand.after[0] = stand.after[0].model_copy(update={"outcome": outcome})
        result = Result(
            focus=(focus_of("A"), focus_of("B")),
            base="base",
            tuned="tuned",
            before=tuple(stand.before),
            after=tuple(stand.after),
            clips=clips,
            real=(),
            judged=(),
            real_moments=(),
            unit_flops=UnitFlops(model="base", shape="3 x 8 x 8", attention=1, linear=1, decode=1, encode=1),
        )
        return result.scorecard(recipe, run, {prompt.key: prompt for prompt in prompts})


@pytest.mark.parametrize("shared", [True, False])
def test_prompts_of_one_text_are_one_cluster_of_the_focus_mean(shared: bool, tmp_path: Path) -> None:
    """On the same prompts, what the one gains and the other loses cancels in every resample."""
    card = card_of(tmp_path / "run", shared=shared)
    assert card.focus_gain == pytest.approx(0.0)
    assert card.focus_gain_low is not None and card.focus_gain_high is not None
    assert (card.focus_gain_high - card.focus_gain_low < 1e-9) is shared


def test_the_seed_of_the_recipe_changes_nothing_in_how_measurements_are_compared(tmp_path: Path) -> None:
    one, other = (card_of(tmp_path / str(seed), shared=False, seed=seed) for seed in (0, 7))
    assert one == other


def test_clips_measured_from_fewer_frames_are_named_in_the_notes(tmp_path: Path) -> None:
    fewer, usual = (card_of(tmp_path / str(share), shared=False, share_shown=share) for share in (0.25, None))
    (note,) = set(fewer.notes) - set(usual.notes)
    assert note.startswith("A: 1 clips") and "25 %" in note
