"""Film prompts with a frozen model: batches through the stock pipeline, latents kept beside the frames."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rushes.records import Clip, Prompt, SamplerSettings
from rushes.roles import ClipRequest, Failed, GeneratedClip
from rushes.specs import ShapeSpec
from rushes.store.advance import Work
from rushes.store.blobs import Blobs
from rushes.store.identity import seed_from_key, work_key

if TYPE_CHECKING:
    from rushes.families.family import Family


@dataclass(frozen=True)
class Take:
    """One clip to film."""

    prompt: Prompt
    index: int
    """Which take of the prompt: 0, 1, ..."""
    seed: int
    """From the prompt's key and the take alone, so that two models film it from the same noise."""


def takes(
    prompts: Sequence[Prompt], *, model: str, sampler: SamplerSettings, shape: ShapeSpec, num_takes: int
) -> list[Work[Take]]:
    """The clips to film: every prompt `num_takes` times by the model whose fingerprint is `model`."""
    spec = {"model": model, "sampler": sampler.model_dump(), "shape": shape.model_dump()}
    return [
        Work(work_key("clip", spec, [prompt], index), Take(prompt, index, seed_from_key(prompt.key, "take", index)))
        for prompt in prompts
        for index in range(num_takes)
    ]


@dataclass(frozen=True)
class PipelineGenerator:
    """`Generator` over a loaded model of any family."""

    family: Family

    def generate(self, requests: Sequence[ClipRequest]) -> list[GeneratedClip | Failed]:
        """One clip per request; requests of one sampler and shape are filmed together."""
        if not requests:
            return []
        began = time.perf_counter()
        first = requests[0]
        shape = ShapeSpec(
            height_px=first.height_px, width_px=first.width_px, num_frames=first.num_frames, fps=first.fps
        )
        latents = self.family.sample([r.text for r in requests], [r.seed for r in requests], first.sampler, shape)
        frames = self.family.decode(latents)
        seconds = (time.perf_counter() - began) / len(requests)
        arrays = latents.cpu().numpy()
        return [GeneratedClip(f, z, seconds) for f, z in zip(frames, arrays, strict=True)]


def film(
    generator: PipelineGenerator,
    chunk: Sequence[Work[Take]],
    *,
    blobs: Blobs,
    model: str,
    sampler: SamplerSettings,
    shape: ShapeSpec,
) -> list[Clip | Failed]:
    """Film one chunk of takes and store frames and latents; what `advance` calls."""
    requests = [
        ClipRequest(
            text=work.payload.prompt.text,
            seed=work.payload.seed,
            sampler=sampler,
            height_px=shape.height_px,
            width_px=shape.width_px,
            num_frames=shape.num_frames,
            fps=shape.fps,
        )
        for work in chunk
    ]
    return [
        made if isinstance(made, Failed) else _clip(work, made, blobs, model, sampler, shape)
        for work, made in zip(chunk, generator.generate(requests), strict=True)
    ]


def _clip(
    work: Work[Take],
    made: GeneratedClip,
    blobs: Blobs,
    model: str,
    sampler: SamplerSettings,
    shape: ShapeSpec,
) -> Clip:
    take = work.payload
    latents = made.latents_CTHW
    return Clip(
        key=work.key,
        prompt_key=take.prompt.key,
        dimension=take.prompt.dimension,
        seed=take.seed,
        seed_index=take.index,
        model=model,
        origin="model",
        sampler=sampler,
        height_px=shape.height_px,
        width_px=shape.width_px,
        num_frames=shape.num_frames,
        fps=shape.fps,
        seconds=made.seconds,
        video=blobs.put_video(made.frames_THWC),
        latents=None if latents is None else blobs.put_arrays({"latents": latents}),
    )
