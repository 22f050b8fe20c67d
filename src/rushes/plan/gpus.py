"""Named GPUs, and the share of their data sheet's speed that each kind of arithmetic reaches: one number per kind.

The efficiencies are taken from publications, not measured here. Attention: PyTorch's default attention is published at
329 of an H100's 989 TFLOP/s (a better backend reaches 631, which is ignored here). Linear layers and everything else:
the remainder of the published 95 s for one clip of Wan2.1-T2V-1.3B (832 x 480, 81 frames, 50 steps with guidance) on
one H200, after attention at that share. Both shares come from NVIDIA's GPUs; on AMD's nothing was compared.

Memory, peak and bandwidth are from the vendors' documents: the Ampere GA102 (RTX 3090), Ada (RTX 4090) and Blackwell
(RTX 5090) architecture papers, the data sheets of RTX A6000, L40S, A100, H100 SXM, H200 SXM, DGX B200 (an eighth of it)
and Instinct MI300X. Peaks are dense bfloat16 with sums in float32: on GeForce cards half of what is advertised.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
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
    Gpu("RTX 3090", 24e9, 71e12, 0.936e12),
    Gpu("RTX 4090", 24e9, 165.2e12, 1.008e12),
    Gpu("RTX 5090", 32e9, 209.5e12, 1.792e12),
    Gpu("A100 40GB", 40e9, 312e12, 1.555e12),
    Gpu("RTX A6000", 48e9, 154.8e12, 0.768e12),
    Gpu("L40S", 48e9, 362e12, 0.864e12),
    Gpu("A100 80GB", 80e9, 312e12, 2.039e12),
    Gpu("H100", 80e9, 989e12, 3.35e12),
    Gpu("H200", 141e9, 989e12, 4.8e12),
    Gpu("B200", 180e9, 2250e12, 7.7e12),
    Gpu("MI300X", 192e9, 1307e12, 5.3e12),
)
"""From small to large."""
USUAL: Final = ("RTX 4090", "L40S", "A100 80GB", "H100", "H200", "B200")
"""Those that a plan shows if none is named: all would not fit beside each other on a screen."""

_MAKERS: Final = frozenset({"nvidia", "geforce", "rtx", "amd", "instinct", "tensor", "core", "gpu"})
"""Words in the names of GPUs that tell none from another."""
_FORMS: Final = re.compile(r"sxm\d?|hbm\d?e?|oam")
"""Words for the form of a card or its memory, of the form that the table has."""
_WORDS: Final = re.compile(r"[a-z]+\d+[a-z]*|\d+[a-z]*|[a-z]+")

_MEMORY: Final = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*(?:gb|gib|g)?", re.IGNORECASE)
_LARGEST_GB: Final = 400.0


def _words(name: str) -> tuple[str, ...]:
    """What tells a GPU from others: the letters and digits of its name, without maker, form and "GB"."""
    found = (re.sub(r"^(?:rtx|geforce)(?=\w*\d)", "", word) for word in _WORDS.findall(name.lower()))
    kept = (re.sub(r"^(\d+)gi?b?$", r"\1", word) for word in found if word not in _MAKERS)
    return tuple(word for word in kept if not _FORMS.fullmatch(word) and word not in ("gb", "gib"))


def _is_called(gpu: Gpu, words: tuple[str, ...]) -> bool:
    """Whether a name means this GPU: its own words, with or without its memory where the name has none."""
    own = _words(gpu.name)
    if own[0] == "a100":  # the card for PCIe is as fast
        words = tuple(word for word in words if word != "pcie")
    return words in (own, (*own, f"{gpu.memory_bytes / 1e9:.0f}"))


def of_memory(name: str) -> Gpu | None:
    """A card of so much memory, of which nothing else is known: `12GB`, `16 GB` or `24`; None for any other name.

    Its speed is that of the slowest card of the table. It is for questions of memory alone.
    """
    found = _MEMORY.fullmatch(name.strip())
    if found is None or not 1.0 <= (size := float(found[1])) <= _LARGEST_GB:
        return None
    return replace(GPUS[0], name=f"card of {size:g} GB", memory_bytes=size * 1e9)


def find_gpu(name: str) -> Gpu:
    """The GPU that a name means: `4090`, `rtx-4090` and `NVIDIA GeForce RTX 4090` are the same.

    Raises:
        RecipeError: the table has no such GPU.
    """
    names = [gpu.name for gpu in GPUS]
    for gpu in GPUS:
        if _is_called(gpu, _words(name)):
            return gpu
    near = nearest(name, names)
    raise RecipeError(
        "this GPU is unknown",
        expected=f"one of {', '.join(names)}",
        got=name,
        next_step=f"did you mean {near!r}?" if near else "choose the one that is most similar to yours",
    )
