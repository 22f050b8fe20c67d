"""Named GPUs, and the share of their data sheet's speed that each kind of arithmetic reaches: one number per kind.

The efficiencies are taken from publications, not measured here. Attention: PyTorch's default attention is published at
329 of an H100's 989 TFLOP/s (a better backend reaches 631, which is ignored here). Linear layers and everything else:
the remainder of the published 95 s for one clip of Wan2.1-T2V-1.3B (832 x 480, 81 frames, 50 steps with guidance) on
one H200, after attention at that share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rushes.errors import RecipeError, nearest

ATTENTION_EFFICIENCY: Final = 0.33
"""Share of the peak that attention reaches."""
LINEAR_EFFICIENCY: Final = 0.24
"""Share of the peak that everything else reaches."""
READING_EFFICIENCY: Final = 0.5
"""Share of the memory bandwidth that a language model writing one text reaches. An assumption."""


@dataclass(frozen=True)
class Gpu:
    """One device, by its vendor's data sheet."""

    name: str
    """Its name in `rushes plan --gpu`."""
    memory_bytes: float
    """Memory."""
    peak: float
    """Peak FLOPs per second: bfloat16, dense, accumulated in float32."""
    bandwidth: float
    """Peak bytes of memory read per second."""

    def seconds(self, attention: float, linear: float) -> float:
        """Expected seconds for that many FLOPs of attention and of everything else."""
        return attention / (ATTENTION_EFFICIENCY * self.peak) + linear / (LINEAR_EFFICIENCY * self.peak)

    def reading_seconds(self, num_bytes: float) -> float:
        """Expected seconds for reading that much memory, as a language model reads its weights for every token."""
        return num_bytes / (READING_EFFICIENCY * self.bandwidth)


GPUS: Final = (
    Gpu("RTX 4090", 24e9, 165.2e12, 1.008e12),
    Gpu("L40S", 48e9, 362e12, 0.864e12),
    Gpu("A100 80GB", 80e9, 312e12, 2.039e12),
    Gpu("H100", 80e9, 989e12, 3.35e12),
    Gpu("H200", 141e9, 989e12, 4.8e12),
    Gpu("B200", 180e9, 2250e12, 7.7e12),
)
"""From small to large."""


def find_gpu(name: str) -> Gpu:
    """The GPU with that name; case is ignored.

    Raises:
        RecipeError: the table has no such GPU.
    """
    names = [gpu.name for gpu in GPUS]
    for gpu in GPUS:
        if gpu.name.lower() == name.strip().lower():
            return gpu
    near = nearest(name, names)
    raise RecipeError(
        "this GPU is unknown",
        expected=f"one of {', '.join(names)}",
        got=name,
        next_step=f"did you mean {near!r}?" if near else "choose the one that is most similar to yours",
    )
