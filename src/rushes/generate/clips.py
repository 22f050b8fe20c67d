"""Clips from a frozen model: batches through the stock pipeline, latents stored with the frames."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from rushes.errors import Stopped, UserError
from rushes.execute.turns import Turns, waited_s
from rushes.generate.overlap import beside, can_overlap
from rushes.generate.takes import How, Take
from rushes.recipe.base import ShapeSpec
from rushes.recipe.generate import StoredAs
from rushes.records import Clip
from rushes.roles import ClipRequest, Failed, GeneratedClip
from rushes.store.advance import Work
from rushes.store.blobs import Blobs

if TYPE_CHECKING:
    from torch import Tensor

    from rushes.families.family import Family
    from rushes.roles import Frames


@dataclass(frozen=True)
class PipelineGenerator:
    """`Generator` over a loaded model of any family."""

    family: Family
    turns: Turns = field(default_factory=Turns)
    """Who samples and who decodes, where two batches are in work."""

    def generate(self, requests: Sequence[ClipRequest]) -> list[GeneratedClip | Failed]:
        """One clip per request; requests of one sampler and shape, decoded or not, are sampled together."""
        if not requests:
            return []
        first = requests[0]
        shape = ShapeSpec(
            height_px=first.height_px, width_px=first.width_px, num_frames=first.num_frames, fps=first.fps
        )
        with self.turns.in_first() as go_on:
            began = time.perf_counter() - waited_s()
            latents = self.family.sample([r.text for r in requests], [r.seed for r in requests], first.sampler, shape)
            arrays = latents.cpu().numpy()
            decode: Callable[[Tensor], list[Frames]] = self.family.decode
            if first.decode and can_overlap(self.family, shape, len(requests)):
                decode = beside(self.family, latents)
                go_on()
            frames = decode(latents) if first.decode else [None] * len(requests)
            seconds = (time.perf_counter() - waited_s() - began) / len(requests)
        return [GeneratedClip(f, z, seconds) for f, z in zip(frames, arrays, strict=True)]


def generate_chunk(
    generator: PipelineGenerator,
    chunk: Sequence[Work[Take]],
    *,
    blobs: Blobs,
    how: How,
    latents: bool = True,
) -> list[Clip | Failed]:
    """Generate one chunk of takes and store their frames and latents, as requested; called by `advance`.

    Where clips of a chunk fail, each of them is generated alone, from its own seed: only one that cannot be made fails.

    Raises:
        UserError, Stopped: raised by the generator before it made a clip.
    """
    requests = [_request(work.payload, how) for work in chunk]
    made: list[GeneratedClip | Failed] = [Failed("NotTried", "")] * len(requests)
    groups = [list(range(len(requests)))]
    for group in groups:
        try:
            results = generator.generate([requests[place] for place in group])
        except (UserError, Stopped) as error:
            if all(isinstance(each, Failed) for each in made):
                raise
            rest = replace(Failed.of(error), ends=error)
            made = [rest if isinstance(each, Failed) else each for each in made]
            break
        except ImportError:
            raise
        except Exception as error:
            results = [Failed.of(error)] * len(group)
        for place, result in zip(group, results, strict=True):
            is_late = group is not groups[0]
            made[place] = replace(result, was_alone=is_late) if isinstance(result, Failed) else result
        failed = [result for result in results if isinstance(result, Failed)]
        if failed and len(group) > 1:
            _warn(failed, len(group))
            groups += [[place] for place in group if isinstance(made[place], Failed)]
    return [
        each if isinstance(each, Failed) else _clip(work, each, blobs, how, latents=latents)
        for work, each in zip(chunk, made, strict=True)
    ]


def _request(take: Take, how: How) -> ClipRequest:
    return ClipRequest(
        text=take.prompt.text,
        seed=take.seed,
        sampler=how.sampler,
        height_px=how.shape.height_px,
        width_px=how.shape.width_px,
        num_frames=how.shape.num_frames,
        fps=how.shape.fps,
        decode=how.decode,
    )


def _clip(work: Work[Take], made: GeneratedClip, blobs: Blobs, how: How, *, latents: bool) -> Clip:
    """The record of a generated clip, after its files are stored."""
    shape, kept = how.shape, made.latents_CTHW if latents and how.keep_latents else None
    frames = made.frames_THWC
    return Clip(
        key=work.key,
        prompt_key=work.payload.prompt.key,
        dimension=work.payload.prompt.dimension,
        seed=work.payload.seed,
        seed_index=work.payload.index,
        model=how.model,
        origin="model",
        sampler=how.sampler,
        made_by=how.made_by,
        height_px=shape.height_px,
        width_px=shape.width_px,
        num_frames=shape.num_frames,
        fps=shape.fps,
        seconds=made.seconds,
        video=None if frames is None else blobs.put_video(frames, fps=shape.fps, coding=how.stored_as),
        latents=None if kept is None else blobs.put_arrays({"latents": kept}),
    )


def decode_chunk(
    generator: PipelineGenerator,
    chunk: Sequence[Work[Take]],
    *,
    undecoded: Mapping[str, Clip],
    blobs: Blobs,
    stored_as: StoredAs,
) -> list[Clip | Failed]:
    """Decode takes that were generated before as latents only, which are kept unchanged; called by `advance`.

    Args:
        generator: only its autoencoder is used.
        chunk: the takes, none of them drafts.
        undecoded: by the take's key, the clip with the same output, with latents and no frames.
        blobs: where both are stored.
        stored_as: how the frames are stored.
    """
    import torch

    clips = [undecoded[work.key] for work in chunk]
    began = time.perf_counter()
    kept = [blobs.read_arrays(clip.latents)["latents"] for clip in clips if clip.latents is not None]
    frames = generator.family.decode(torch.from_numpy(np.stack(kept)).to(generator.family.device))
    seconds = (time.perf_counter() - began) / len(chunk)
    return [
        clip.model_copy(
            update={
                "key": work.key,
                "video": blobs.put_video(decoded, fps=clip.fps, coding=stored_as),
                "seconds": clip.seconds + seconds,
            }
        )
        for work, clip, decoded in zip(chunk, clips, frames, strict=True)
    ]


def _warn(failed: Sequence[Failed], num: int) -> None:
    first = f"{failed[0].error_type}: {failed[0].message}"
    warnings.warn(
        f"{len(failed)} of {num} clips generated at once failed ({first}); tried again, one by one. If this continues, "
        "lower runtime.generate_batch",
        stacklevel=2,
    )
