"""Representation alignment: while the base model learns to denoise, a middle layer predicts what the clip shows.

A thing covers few of a clip's pixels, so the denoising loss alone is slow to teach which words put what where.
Yu et al. (arXiv 2410.06940, REPA) speed up pre-training by aligning a middle layer with features of a clean image.
The sandbox has exact facts about its scenes, so these replace the features. The head is discarded afterwards.

Legend: B batch, T latent frames, N = T * R * R patches of the transformer, K things, C = colours * shapes.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rushes_sandbox.animate import animate
from rushes_sandbox.scene import COLOUR_RGB, COLOURS, NUM_FRAMES, SHAPES, SIZE_PX, Scene

ROWS = 4
"""Patches along one side of a frame: 64 px, 8 px per latent cell, 2 cells per patch."""
LATENT_FRAMES = 5
NUM_LOOKS = len(COLOURS) * len(SHAPES)
NUM_CAMERA = 2
_MOMENTS = np.array([0, 3, 7, 11, 15])
"""The frame that stands for each latent frame: the first, then one of every four."""
_RGB = np.array([COLOUR_RGB[colour] for colour in COLOURS], np.float32)


def scene_facts(scene: Scene) -> NDArray[np.float32]:
    """What each patch of a clip holds: (N, C + 2).

    The first C values say how much of a thing of each colour and shape has its middle there, shared between the
    four nearest patches by proximity; the last two are the camera's position / 10 px and log zoom.
    """
    tracks = animate(scene, NUM_FRAMES)
    facts = np.zeros((LATENT_FRAMES, ROWS + 2, ROWS + 2, NUM_LOOKS + NUM_CAMERA), np.float32)
    patch = SIZE_PX / ROWS
    for t, moment in enumerate(_MOMENTS):
        zoom, pan = tracks.zoom_T[moment], tracks.camera_x_T[moment]
        facts[t, ..., NUM_LOOKS:] = pan / 10.0, np.log(zoom)
        for k, thing in enumerate(scene.things):
            u = ((tracks.x_KT[k, moment] - pan) * zoom + SIZE_PX / 2) / patch + 0.5
            v = (tracks.y_KT[k, moment] * zoom + SIZE_PX / 2) / patch + 0.5
            col, row = int(np.clip(np.floor(u), 0, ROWS)), int(np.clip(np.floor(v), 0, ROWS))
            fu, fv = float(np.clip(u - col, 0, 1)), float(np.clip(v - row, 0, 1))
            colour = int(np.abs(_RGB - tracks.rgb_KT3[k, moment]).sum(1).argmin())
            look = colour * len(SHAPES) + SHAPES.index(thing.shape)
            near = np.outer([1 - fv, fv], [1 - fu, fu])
            here = facts[t, row : row + 2, col : col + 2, look]
            np.minimum(here + near, 1.0, out=here)
    return facts[:, 1:-1, 1:-1].reshape(-1, NUM_LOOKS + NUM_CAMERA)


class AlignmentHead(nn.Module):
    """Reads `scene_facts` from the hidden states of a transformer layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, width)
        self.out = nn.Linear(width, NUM_LOOKS + NUM_CAMERA)
        nn.init.constant_(self.out.bias[:NUM_LOOKS], -4.0)

    def forward(self, states_BND: Tensor) -> Tensor:
        """Logits of the looks and plain values of the camera, (B, N, C + 2)."""
        guess: Tensor = self.out(nn.functional.silu(self.hidden(self.norm(states_BND))))
        return guess


def alignment_loss(guess_BNF: Tensor, facts_BNF: Tensor) -> Tensor:
    """Cross-entropy of the looks, summed over looks, plus the squared error of the camera; mean over patches."""
    looks = nn.functional.binary_cross_entropy_with_logits(
        guess_BNF[..., :NUM_LOOKS].float(), facts_BNF[..., :NUM_LOOKS], reduction="none"
    ).sum(-1)
    camera = (guess_BNF[..., NUM_LOOKS:].float() - facts_BNF[..., NUM_LOOKS:]).square().sum(-1)
    return (looks + camera).mean()


def stack_facts(scenes: list[Scene]) -> Tensor:
    """`scene_facts` of many scenes in half precision, (number of scenes, N, C + 2)."""
    return torch.from_numpy(np.stack([scene_facts(scene).astype(np.float16) for scene in scenes]))
