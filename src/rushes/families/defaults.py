"""Usual sampler settings of each family, from its authors' own examples; nothing heavy is imported here.

A recipe states its complete sampler, and the clip record repeats it, so these are never filled in silently. They are
named by the error for a sampler that does not suit the family, and listed in `docs/families.md`.
"""

from __future__ import annotations

from dataclasses import dataclass

from rushes.recipe.base import ShapeSpec
from rushes.records import SamplerSettings


@dataclass(frozen=True)
class Usual:
    """A starting point for a recipe."""

    sampler: SamplerSettings
    shape: ShapeSpec
    max_tokens: int


WAN_NEGATIVE = (
    "Bright tones, overexposed, static, blurred details, subtitles, style, works, paintings, images, static, overall "
    "gray, worst quality, low quality, JPEG compression residue, ugly, incomplete, extra fingers, poorly drawn hands, "
    "poorly drawn faces, deformed, disfigured, misshapen limbs, fused fingers, still picture, messy background, three "
    "legs, many people in the background, walking backwards"
)
"""English translation of Wan's own negative prompt, as diffusers' example of its pipeline has it."""
LTX_NEGATIVE = "worst quality, inconsistent motion, blurry, jittery, distorted"
"""From the examples of the pipelines of LTX-Video and LTX-2."""

SANA_NEGATIVE = (
    "A chaotic sequence with misshapen, deformed limbs in heavy motion blur, sudden disappearance, jump cuts, jerky "
    "movements, rapid shot changes, frames out of sync, inconsistent character shapes, temporal artifacts, jitter, and "
    "ghosting effects, creating a disorienting visual experience."
)
"""From the example of SANA-Video's pipeline."""


def _sampler(
    guidance: float, shift: float, scheduler: str, negative: str = "", *, num_steps: int = 50
) -> SamplerSettings:
    return SamplerSettings(
        num_steps=num_steps,
        guidance_scale=guidance,
        shift=shift,
        scheduler=scheduler,
        negative_prompt=negative,
        precision="bfloat16",
    )


_EULER = "FlowMatchEulerDiscreteScheduler"

WAN_TWO = Usual(
    SamplerSettings(
        num_steps=40,
        guidance_scale=4.0,
        guidance_scale_2=3.0,
        shift=12.0,
        scheduler="UniPCMultistepScheduler",
        negative_prompt=WAN_NEGATIVE,
        precision="bfloat16",
    ),
    ShapeSpec(height_px=480, width_px=832, num_frames=81, fps=16),
    512,
)
"""Of Wan2.2 T2V-A14B, from its authors' configuration; the second guidance scale is that of low noise."""

USUAL: dict[str, Usual] = {
    "wan": Usual(
        _sampler(5.0, 5.0, "UniPCMultistepScheduler", WAN_NEGATIVE),
        ShapeSpec(height_px=480, width_px=832, num_frames=81, fps=16),
        512,
    ),
    "cogvideox": Usual(
        _sampler(6.0, 1.0, "CogVideoXDPMScheduler"),
        ShapeSpec(height_px=480, width_px=720, num_frames=49, fps=8),
        226,
    ),
    "hunyuan": Usual(
        _sampler(6.0, 7.0, _EULER),
        ShapeSpec(height_px=720, width_px=1280, num_frames=129, fps=24),
        256,
    ),
    # The shifts of both equal the pipelines' own length-dependent shift at this shape.
    "ltx": Usual(
        _sampler(3.0, 25.3, _EULER, LTX_NEGATIVE),
        ShapeSpec(height_px=512, width_px=704, num_frames=161, fps=25),
        128,
    ),
    "ltx2": Usual(
        _sampler(3.0, 16.2, _EULER, LTX_NEGATIVE, num_steps=30),
        ShapeSpec(height_px=512, width_px=768, num_frames=121, fps=24),
        1024,
    ),
    "hunyuan15": Usual(
        _sampler(6.0, 5.0, _EULER),
        ShapeSpec(height_px=480, width_px=848, num_frames=121, fps=24),
        1000,
    ),
    "sana_video": Usual(
        _sampler(6.0, 8.0, "DPMSolverMultistepScheduler", SANA_NEGATIVE),
        ShapeSpec(height_px=480, width_px=832, num_frames=81, fps=16),
        300,
    ),
}
"""By the name in `base.family`."""


ONE_CALL_A_STEP: frozenset[str] = frozenset({"hunyuan"})
"""Guidance-distilled families: the guidance scale is an input of the transformer, and there is no unconditional
pass."""


def calls_per_step(family: str | None, guidance_scale: float) -> int:
    """Transformer calls per sampling step: two with classifier-free guidance, else one.

    Args:
        family: by the name in `base.family`; None if unknown, which is treated as not distilled.
        guidance_scale: of the sampler.
    """
    return 2 if guidance_scale > 1 and family not in ONE_CALL_A_STEP else 1


def in_words(family: str) -> str:
    """A family's usual sampler as a recipe would write it."""
    sampler = USUAL[family].sampler
    return (
        f"{{num_steps: {sampler.num_steps}, guidance_scale: {sampler.guidance_scale}, shift: {sampler.shift}, "
        f"scheduler: {sampler.scheduler}}}"
    )
