"""Real clips with what their owner says of them -> weights, scores, pairs; each rule by numbers worked out by hand."""

from __future__ import annotations

import pytest

from rushes.errors import TrainingError
from rushes.recipe.weights import WeightsSpec
from rushes.records import BlobRef, Clip, Prompt, Scored, Stated, Unscored
from rushes.weights.brought import Brought, brought

CLIPS = ["a", "b", "c", "d"]
TEXTS = {"a": "one", "b": "one", "c": "one", "d": "two"}


def key(name: str) -> str:
    return (name * 64)[:64]


def weigh(spec: WeightsSpec | None = None, **said: Stated) -> Brought:
    clips, prompts = [], {}
    for number, name in enumerate(CLIPS):
        prompt = Prompt(
            key=key(f"{number}"), text=TEXTS[name], base_text="one", dimension="Real", origin="caption", index=number
        )
        prompts[prompt.key] = prompt
        clips.append(
            Clip(
                key=key(name), prompt_key=prompt.key, dimension="Real", seed=0, seed_index=0, model="real",
                origin="real", height_px=32, width_px=32, num_frames=5, fps=8.0, seconds=0.0,
                video=BlobRef(sha256=key("f"), num_bytes=1, suffix=".mp4"),
            )
        )  # fmt: skip
    return brought(clips, {key(name): each for name, each in said.items()}, prompts, spec or WeightsSpec())


def values(found: Brought) -> list[float | None]:
    return [each.outcome.value if isinstance(each.outcome, Scored) else None for each in found.scores]


def weights(found: Brought) -> list[float]:
    return [each.weight for each in found.samples]


def test_nothing_said_is_plain_fine_tuning() -> None:
    found = weigh()
    assert weights(found) == [1.0] * 4 and not found.scores
    assert all(each.source == "own" and each.preference == 1.0 and each.score is None for each in found.samples)


def test_clips_of_one_caption_are_takes_of_one_prompt() -> None:
    assert [each.prompt_key for each in weigh().samples] == [key("0")] * 3 + [key("3")]


def test_scores_within_0_and_1_are_taken_as_they_are_and_others_are_stretched() -> None:
    as_they_are = weigh(**{name: Stated(score=s) for name, s in zip("abcd", (0.2, 0.4, 0.4, 0.6), strict=True)})
    assert values(as_they_are) == [0.2, 0.4, 0.4, 0.6] and weights(as_they_are) == pytest.approx([0.5, 1, 1, 1.5])
    stars = weigh(**{name: Stated(score=s) for name, s in zip("abcd", (-3, 1, 5, 3), strict=True)})
    assert values(stars) == [0.0, 0.5, 1.0, 0.75]
    huge = weigh(**{name: Stated(score=s) for name, s in zip("abcd", (-1e12, 1e12, 0, 0), strict=True)})
    assert values(huge) == [0.0, 1.0, 0.5, 0.5]
    assert values(weigh(**{name: Stated(score=7) for name in "abcd"})) == [1.0] * 4


def test_the_recipes_weighting_makes_weights_of_scores_and_stated_weights_come_before_it() -> None:
    scores = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 3.0}
    kept = weigh(WeightsSpec(kind="filter", threshold=1.0), **{name: Stated(score=s) for name, s in scores.items()})
    assert weights(kept) == [0.0, 0.0, 2.0, 2.0]
    stated = weigh(
        **{name: Stated(score=s, weight=w) for (name, s), w in zip(scores.items(), (2, 0, 1, 1), strict=True)}
    )
    assert weights(stated) == [2.0, 0.0, 1.0, 1.0] and values(stated) == [0.0, 0.5, 1.0, 1.0]
    with pytest.raises(TrainingError, match="every weight in the folder's table is 0"):
        weigh(**{name: Stated(weight=0) for name in "abcd"})


def test_preferences_are_pairs_and_shares_of_comparisons_won() -> None:
    found = weigh(a=Stated(preferred_over=(key("b"), key("c"))), b=Stated(preferred_over=(key("c"),)))
    assert values(found) == [1.0, 0.5, 0.0, None]
    assert isinstance(found.scores[3].outcome, Unscored)
    assert [each.preferred_over for each in found.samples] == [(key("b"), key("c")), (key("c"),), (), ()]
    assert weights(found) == pytest.approx([2.0, 1.0, 0.0, 0.0])
    assert [each.preference for each in found.samples] == [1.0, 0.5, 0.0, None]
