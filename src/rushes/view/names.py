"""What weights are called on a page: their records name them by keys."""

from __future__ import annotations

from typing import Final

from rushes.store.run import Run

USES: Final = {
    "weakness": "training",
    "caption": "training, captions",
    "probe": "diagnosis",
    "held_out": "held out",
    "watch": "watch",
    "real": "real clips",
    "unknown": "unknown",
}
"""What clips are for, by the origin of their prompts."""


def model_names(run: Run) -> dict[str, str]:
    """Key of each checkpoint -> "step 100"; with the first digits of its key where two have the same step."""
    found = {each.key: f"step {each.step}" for each in run.checkpoints.all()}
    twice = [name for name in found.values() if list(found.values()).count(name) > 1]
    return {key: f"{name} ({key[:6]})" if name in twice else name for key, name in found.items()}


def model_name(model: str, known: dict[str, str]) -> str:
    """The name of weights: "step 100", "real", or "base" for whatever is no checkpoint of the run."""
    return known.get(model) or ("real" if model == "real" else "base")
