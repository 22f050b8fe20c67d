"""The prompts of the sandbox's demo, byte for byte: a change of how texts are read would change what it trains on."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import pytest

from rushes.context import Context
from rushes.prompts.evaluation import evaluation
from rushes.prompts.real import real_material
from rushes.prompts.stage import write
from rushes.recipe.load import load_recipe
from rushes.records import Focus, Prompt, Rejection
from rushes.store.run import Run

SIZES = ("diagnose.num_focus=3", "measure.num_extra_focus_prompts=48")
"""As the demo was when the core itself read shapes."""
FOCUS = ("Composition", "Camera_Motion", "Motion_Order_Understanding")
KNOWN = {
    "probes": (116, "565b679c4871235b"),
    "held_out": (728, "18f2c8dc9eed26cb"),
    "reserved": (1444, "d37d99315e255c8f"),
    "refused": (360, "d37e7bf0066168ae"),
    "captions": (192, "abb43ad02269ebf1"),
    "weakness": (157, "b70708b317058d89"),
    "rejections": (204, "fbc45533dfe9a254"),
}
"""Number and hash of each part, as they were when the core itself read shapes."""


def digest(each: Iterable[Prompt | Rejection]) -> tuple[int, str]:
    """How many, and a hash of what identifies them: keys and texts, or texts and reasons."""
    lines = [
        f"{one.key} {one.text}" if isinstance(one, Prompt) else f"{one.reason} {one.text} {one.detail}" for one in each
    ]
    return len(lines), sha256("\n".join(lines).encode()).hexdigest()[:16]


@pytest.mark.slow
def test_the_demo_has_the_prompts_that_it_always_had(tmp_path: Path) -> None:
    recipe = load_recipe("sandbox", SIZES)
    with Run.open(tmp_path / "run", recipe) as run:
        context = Context(recipe, run)
        asked = evaluation(context)
        real = real_material(context, asked)
        focus = [_focus(name, recipe.prompts.num_weakness // len(FOCUS)) for name in FOCUS]
        weakness = write(context, focus, asked, real.captions, 0)
        found = {
            "probes": digest(asked.probes),
            "held_out": digest(asked.held_out),
            "reserved": digest(asked.reserved),
            "refused": digest(asked.refused),
            "captions": digest(real.captions),
            "weakness": digest(weakness),
            "rejections": digest(context.rejections),
        }
    assert found == KNOWN


def _focus(name: str, num_prompts: int) -> Focus:
    return Focus(
        dimension=name, baseline=0.5, low=0.4, high=0.6, gap=0.5, share=0.3, num_prompts=num_prompts, reason="named"
    )
