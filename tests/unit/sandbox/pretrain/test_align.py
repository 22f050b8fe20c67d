"""The middle layer is asked for what a scene truly shows."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from lab.pretrain.align import LATENT_FRAMES, NUM_LOOKS, ROWS, AlignmentHead, alignment_loss, scene_facts
from rushes_sandbox.scene import COLOURS, SHAPES, Action, Scene, Thing


def look(colour: str, shape: str) -> int:
    return COLOURS.index(colour) * len(SHAPES) + SHAPES.index(shape)


def grid(scene: Scene) -> np.ndarray:
    return scene_facts(scene).reshape(LATENT_FRAMES, ROWS, ROWS, -1)


def test_a_thing_in_the_middle_of_a_patch_is_that_patch_alone() -> None:
    facts = grid(Scene("Simple", (Thing("cross", "cyan", "small", x=-8.0, y=24.0),), (), "grey"))
    # x -8 is pixel 24, the middle of the second patch; y 24 is pixel 56, the middle of the last.
    assert facts[:, 3, 1, look("cyan", "cross")] == pytest.approx(1.0)
    assert facts[..., :NUM_LOOKS].sum() == pytest.approx(LATENT_FRAMES)


def test_a_thing_between_patches_is_shared_by_nearness() -> None:
    facts = grid(Scene("Simple", (Thing("circle", "red", "small", x=4.0, y=0.0),), (), "grey"))
    shares = facts[0, :, :, look("red", "circle")]
    # Pixel (36, 32): three quarters of the way from patch centre 24 to 40, half way between the rows' centres.
    assert shares[1:3, 1:3] == pytest.approx(np.array([[0.125, 0.375], [0.125, 0.375]]))


def test_a_moving_and_turning_thing_moves_and_turns() -> None:
    things = (Thing("square", "red", "medium", x=-14.0, y=-8.0),)
    actions = (Action(0, "right", amount=28.0), Action(0, "turn", colour="blue"))
    facts = grid(Scene("Simple", things, actions, "grey"))
    columns = np.arange(ROWS)
    first = (facts[0, ..., :NUM_LOOKS].sum((0, 2)) * columns).sum()
    last = (facts[-1, ..., :NUM_LOOKS].sum((0, 2)) * columns).sum()
    assert last - first > 1.3  # 28 px in all are 1.75 patches; the last moment is 15/16 of them.
    assert facts[0, ..., look("red", "square")].sum() == pytest.approx(1.0)
    assert facts[-1, ..., look("blue", "square")].sum() == pytest.approx(1.0)


def test_the_camera_is_told_to_every_patch() -> None:
    facts = grid(Scene("Camera_Motion", (Thing("circle", "red", "medium", 0, 0),), (), "grey", "zoom_in", 1.6))
    assert np.ptp(facts[-1, ..., -1]) == 0
    assert facts[-1, 0, 0, -1] == pytest.approx(math.log(1.6) * 15 / 16, rel=1e-3)
    assert facts[..., -2] == pytest.approx(0.0)


def test_the_loss_is_least_at_the_truth() -> None:
    facts = torch.from_numpy(scene_facts(Scene("Simple", (Thing("circle", "red", "small", -8.0, 8.0),), (), "sand")))
    sure = torch.cat([(facts[:, :NUM_LOOKS] * 2 - 1) * 20, facts[:, NUM_LOOKS:]], -1)
    assert float(alignment_loss(sure[None], facts[None])) == pytest.approx(0.0, abs=1e-6)
    assert float(alignment_loss(-sure[None], facts[None])) > 1


def test_the_head_learns_to_read() -> None:
    torch.manual_seed(0)
    facts = torch.from_numpy(scene_facts(Scene("Simple", (Thing("circle", "red", "small", -8.0, 8.0),), (), "sand")))
    head, states = AlignmentHead(16), torch.randn(1, len(facts), 16)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss = alignment_loss(head(states), facts[None])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]
