"""What each family can be asked for: the shapes of its clips and the settings of its sampler. Nothing is loaded."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rushes.families.folder import FamilyName
from rushes.recipe.base import ShapeSpec
from rushes.records import SamplerSettings
from rushes.records.caches import PyramidCache, SeaCache

EULER: Final = "FlowMatchEulerDiscreteScheduler"
SCHEDULERS: Final[Mapping[FamilyName, tuple[str, ...]]] = {
    "wan": ("UniPCMultistepScheduler", EULER),
    "cogvideox": ("CogVideoXDPMScheduler", "CogVideoXDDIMScheduler"),
    "hunyuan": (EULER,),
    "hunyuan15": (EULER,),
    "ltx": (EULER,),
    "ltx2": (EULER,),
    "sana_video": ("DPMSolverMultistepScheduler", "UniPCMultistepScheduler", EULER),
}
"""Diffusers schedulers that each family can be sampled with."""
SANA_SIDE: Final = 32
"""Pixels that divide the sides of a clip of SANA-Video: its pipeline refuses others, whatever the autoencoder."""
_WHY: Final[Mapping[FamilyName, str]] = {
    "wan": "its velocity needs flow sigmas",
    "cogvideox": "it predicts v on a diffusion schedule",
    "hunyuan": "its pipeline passes its own sigmas to the scheduler",
    "hunyuan15": "its pipeline passes its own sigmas to the scheduler",
    "ltx": "its pipeline passes its own sigmas to the scheduler",
    "ltx2": "its pipeline passes its own sigmas to the scheduler",
    "sana_video": "its velocity needs flow sigmas",
}
ONE_TRANSFORMER: Final = "it has one transformer, whose scale is guidance_scale"
"""Why a model takes no second guidance scale."""


@dataclass(frozen=True)
class Grid:
    """The shapes that a model can make: frame_step k + 1 frames, sides that are multiples of pixel_step.

    Example: `Grid(frame_step=4, pixel_step=16)` for Wan2.1.
    """

    frame_step: int
    """Frames between two legal numbers of frames."""
    pixel_step: int
    """Pixels between two legal sides."""

    def nearest(self, shape: ShapeSpec) -> ShapeSpec:
        """The nearest shape that the model can make; `shape` itself if it can make that."""
        sides = {
            name: max(self.pixel_step, round(value / self.pixel_step) * self.pixel_step)
            for name, value in (("height_px", shape.height_px), ("width_px", shape.width_px))
        }
        frames = max(1, round((shape.num_frames - 1) / self.frame_step) * self.frame_step + 1)
        return shape.model_copy(update={"num_frames": frames, **sides})

    def in_words(self) -> str:
        """The rule as an error states it."""
        return f"num_frames = {self.frame_step} k + 1 and height_px, width_px multiples of {self.pixel_step}"


@dataclass(frozen=True)
class Refused:
    """A sampler setting that a family would silently ignore."""

    setting: str
    """Its name in a sampler."""
    expected: str
    """What the family takes."""
    got: object
    """What the sampler says."""
    why: str
    """Why only that."""


def refused_settings(family: FamilyName, sampler: SamplerSettings) -> Iterator[Refused]:
    """Every setting of a sampler that a family cannot be sampled with."""
    if sampler.scheduler not in SCHEDULERS[family]:
        yield Refused("scheduler", " or ".join(SCHEDULERS[family]), sampler.scheduler, _WHY[family])
    if family == "cogvideox" and sampler.shift != 1.0:
        yield Refused("shift", "1.0", sampler.shift, "its noise schedule is its own (snr_shift_scale)")
    if sampler.guidance_scale_2 is not None:
        why = ONE_TRANSFORMER if family != "wan" else "there is no guidance at guidance_scale 1 and below"
        if family != "wan" or sampler.guidance_scale <= 1:
            yield Refused("guidance_scale_2", "null", sampler.guidance_scale_2, why)
    if family == "hunyuan" and sampler.negative_prompt:
        why = "it is guidance-distilled and has no unconditional branch"
        yield Refused("negative_prompt", "''", sampler.negative_prompt, why)
    cache = sampler.cache
    if isinstance(cache, SeaCache) and family != "wan":
        yield Refused("cache", "null", cache.kind, "diffusers' SeaCache reads the latents of Wan alone")
    if isinstance(cache, PyramidCache) and family == "wan" and sampler.guidance_scale > 1:
        why = "Wan is called once with and once without the prompt, and this cache would mix the two"
        yield Refused("cache", "null", cache.kind, why)


def read_grid(folder: Path, family: FamilyName) -> Grid | None:
    """The shapes that the model in a diffusers folder can make, from its configs; None if they do not say."""
    try:
        transformer, autoencoder = (
            json.loads((folder / part / "config.json").read_text(encoding="utf-8")) for part in ("transformer", "vae")
        )
        return _GRIDS[family](transformer, autoencoder)
    except (OSError, KeyError, TypeError, ValueError, IndexError):
        return None


def read_boundary(folder: Path) -> float | None:
    """The noise level from which on the first of two transformers predicts; None if the index names none."""
    try:
        boundary = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))["boundary_ratio"]
        return float(boundary)
    except (OSError, KeyError, TypeError, ValueError):
        return None


def read_text_length(folder: Path) -> int | None:
    """The only text length, tokens, that the transformer in a diffusers folder takes; None if it takes any."""
    try:
        config = json.loads((folder / "transformer" / "config.json").read_text(encoding="utf-8"))
        return int(config["max_text_seq_length"])
    except (OSError, KeyError, TypeError, ValueError):
        return None


Config = Mapping[str, Any]


def _wan(transformer: Config, autoencoder: Config) -> Grid:
    spatial = int(autoencoder["scale_factor_spatial"]) * int(transformer["patch_size"][1])
    return Grid(int(autoencoder["scale_factor_temporal"]), spatial)


def _cogvideox(transformer: Config, autoencoder: Config) -> Grid:
    """Its autoencoder needs an odd number of latent frames."""
    spatial = 2 ** (len(autoencoder["block_out_channels"]) - 1) * int(transformer["patch_size"])
    return Grid(2 * int(autoencoder["temporal_compression_ratio"]), spatial)


def _hunyuan(transformer: Config, autoencoder: Config) -> Grid:
    spatial = int(autoencoder["spatial_compression_ratio"]) * int(transformer["patch_size"])
    return Grid(int(autoencoder["temporal_compression_ratio"]), spatial)


def _ltx(transformer: Config, autoencoder: Config) -> Grid:
    halvings = 2 ** sum(map(bool, autoencoder["spatio_temporal_scaling"]))
    spatial = autoencoder.get("spatial_compression_ratio") or int(autoencoder["patch_size"]) * halvings
    temporal = autoencoder.get("temporal_compression_ratio") or int(autoencoder["patch_size_t"]) * halvings
    return Grid(temporal * int(transformer["patch_size_t"]), spatial * int(transformer["patch_size"]))


def _ltx2(transformer: Config, autoencoder: Config) -> Grid:
    """Without stated ratios, its class computes both from the same list."""
    halvings = 2 ** sum(map(bool, autoencoder["spatio_temporal_scaling"]))
    spatial = autoencoder.get("spatial_compression_ratio") or int(autoencoder["patch_size"]) * halvings
    temporal = autoencoder.get("temporal_compression_ratio") or int(autoencoder["patch_size_t"]) * halvings
    return Grid(temporal * int(transformer["patch_size_t"]), spatial * int(transformer["patch_size"]))


def _sana_video(transformer: Config, autoencoder: Config) -> Grid:
    temporal = autoencoder.get("scale_factor_temporal") or autoencoder["temporal_compression_ratio"]
    spatial = autoencoder.get("scale_factor_spatial") or autoencoder["spatial_compression_ratio"]
    return Grid(int(temporal), math.lcm(int(spatial) * int(transformer["patch_size"][1]), SANA_SIDE))


_GRIDS: Final[Mapping[FamilyName, Callable[[Config, Config], Grid]]] = {
    "wan": _wan,
    "cogvideox": _cogvideox,
    "hunyuan": _hunyuan,
    "hunyuan15": _hunyuan,
    "ltx": _ltx,
    "ltx2": _ltx2,
    "sana_video": _sana_video,
}
