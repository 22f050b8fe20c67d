"""Best of N: whose score is reported, and against what."""

from __future__ import annotations

from lab.favourite import favourites
from rushes.records import Clip, Measurement, Outcome, Score, Scored, Unscored
from tests.support.judged import key

TAKES = {"a": (("p", 0), 0.2, 1.0), "b": (("p", 1), 0.9, 0.0), "c": (("p", 2), None, 1.0), "d": (("q", 0), 0.5, None)}
"""Clip -> (prompt, take), the judge's score, the measurer's."""


def _outcome(value: float | None) -> Outcome:
    return Unscored(reason="unclear") if value is None else Scored(value=value)


def test_the_judges_favourite_is_measured_against_the_mean_of_its_siblings() -> None:
    """The judge prefers b, which the measurer does not: the gain is a loss. c is not scored, so it does not count."""
    clips, scores, measured = list[Clip](), list[Score](), dict[str, Measurement]()
    for name, ((prompt, take), said, found) in TAKES.items():
        clip = Clip.model_construct(
            key=key(name), prompt_key=key(prompt), dimension="D", seed_index=take, origin="model"
        )
        clips.append(clip)
        scores.append(Score(clip_key=clip.key, prompt_key=clip.prompt_key, dimension="D", outcome=_outcome(said)))
        measured[clip.key] = Measurement(
            key=key("measured", name), subject=(clip.key,), dimension="D", prompt_key=clip.prompt_key, measurer="m",
            outcome=_outcome(found),
        )  # fmt: skip
    (gain,) = favourites(clips, scores, measured)
    assert (gain.prompt_key, gain.before, gain.after, gain.num_pairs) == (key("p"), 0.5, 0.0, 2)
