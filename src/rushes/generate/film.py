"""Film prompts with a frozen model: batches through the stock pipeline, latents kept beside the frames."""

from __future__ import annotations

import time
import warnings
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from rushes.execute.local import outcome
from rushes.recipe.base import ShapeSpec
from rushes.recipe.generate import StoredAs
from rushes.records import Clip, Prompt, SamplerSettings
from rushes.roles import ClipRequest, Failed, GeneratedClip
from rushes.store.advance import Work
from rushes.store.blobs import Blobs
from rushes.store.identity import seed_from_key, work_key

if TYPE_CHECKING:
    from rushes.families.family import Family


NUM_TRIES: Final = 3
"""How often a clip by itself is tried in one run, before it becomes a failure on record."""


@dataclass(frozen=True)
class Take:
    """One clip to film."""

    prompt: Prompt
    index: int
    """Which take of the prompt: 0, 1, ..."""
    seed: int
    """From the prompt's key and the take alone, so that two models film it from the same noise."""
    film: str
    """Names what comes out of the camera: takes of the same film are the same clip and are filmed once."""


def takes(
    prompts: Sequence[Prompt],
    *,
    model: str,
    sampler: SamplerSettings,
    shape: ShapeSpec,
    num_takes: int,
    filmed_as: Mapping[str, str] | None = None,
    stored_as: StoredAs = "lossless",
    decode: bool = True,
) -> list[Work[Take]]:
    """The clips to film: every prompt `num_takes` times by the model whose fingerprint is `model`.

    Args:
        prompts: what to film.
        model: fingerprint of the weights.
        sampler: how to sample.
        shape: size of the clips.
        num_takes: clips per prompt.
        filmed_as: for prompts that share their clips, by key: the name that their seeds come from instead of the key.
        stored_as: how clips are stored. What is stored is what is judged, so losses are part of the key.
        decode: False for latents alone.
    """
    spec: dict[str, object] = {"model": model, "sampler": sampler.model_dump(), "shape": shape.model_dump()}
    if stored_as != "lossless":
        spec["stored_as"] = stored_as
    if not decode:
        spec["decode"] = False
    found = []
    for prompt in prompts:
        name = (filmed_as or {}).get(prompt.key)
        made = spec if name is None else {**spec, "filmed_as": name}
        for index in range(num_takes):
            seed = seed_from_key(name or prompt.key, "take", index)
            film = work_key("film", spec, [name or prompt.key], index)
            found.append(Work(work_key("clip", made, [prompt], index), Take(prompt, index, seed, film)))
    return found


def once(
    work: Sequence[Work[Take]], filmed: Container[str], stored: Container[str]
) -> tuple[list[Work[Take]], list[Work[Take]]]:
    """What the camera must run for, and what has the same film as one of those or of what was filmed before.

    Args:
        work: from `takes`.
        filmed: films that are there.
        stored: keys of clips that are there: one of them stands for its film, so that nothing is filmed again.
    """
    leaders: dict[str, str] = {}
    for piece in work:
        film = piece.payload.film
        if film not in leaders or (piece.key in stored and leaders[film] not in stored):
            leaders[film] = piece.key
    first = [each for each in work if each.payload.film not in filmed and leaders[each.payload.film] == each.key]
    keys = {each.key for each in first}
    return first, [each for each in work if each.key not in keys]


def copied(chunk: Sequence[Work[Take]], films: Mapping[str, Clip]) -> list[Clip | Failed]:
    """The records of takes whose film is there already: the same pixels, for another prompt."""
    made: list[Clip | Failed] = []
    for piece in chunk:
        clip, prompt = films.get(piece.payload.film), piece.payload.prompt
        if clip is None:
            made.append(Failed("NotFilmed", f"the clip that it shares with another dimension failed: {prompt.text!r}"))
        else:
            update = {"key": piece.key, "prompt_key": prompt.key, "dimension": prompt.dimension, "seconds": 0.0}
            made.append(clip.model_copy(update=update))
    return made


@dataclass(frozen=True)
class PipelineGenerator:
    """`Generator` over a loaded model of any family."""

    family: Family

    def generate(self, requests: Sequence[ClipRequest]) -> list[GeneratedClip | Failed]:
        """One clip per request; requests of one sampler and shape, decoded or not, are filmed together."""
        if not requests:
            return []
        began = time.perf_counter()
        first = requests[0]
        shape = ShapeSpec(
            height_px=first.height_px, width_px=first.width_px, num_frames=first.num_frames, fps=first.fps
        )
        latents = self.family.sample([r.text for r in requests], [r.seed for r in requests], first.sampler, shape)
        frames = self.family.decode(latents) if first.decode else [None] * len(requests)
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
    stored_as: StoredAs = "lossless",
    latents: bool = True,
    decode: bool = True,
) -> list[Clip | Failed]:
    """Film one chunk of takes and store frames and latents, whichever are wanted; what `advance` calls.

    A clip that fails `NUM_TRIES` times by itself is `Failed`; the others of its chunk are not touched by it.
    """
    requests = [
        ClipRequest(
            text=work.payload.prompt.text,
            seed=work.payload.seed,
            sampler=sampler,
            height_px=shape.height_px,
            width_px=shape.width_px,
            num_frames=shape.num_frames,
            fps=shape.fps,
            decode=decode,
        )
        for work in chunk
    ]
    clips: list[Clip | Failed] = []
    for work, made in zip(chunk, _filmed(generator, requests), strict=True):
        if isinstance(made, Failed):
            clips.append(made)
            continue
        kept = made.latents_CTHW if latents else None
        clips.append(
            Clip(
                key=work.key,
                prompt_key=work.payload.prompt.key,
                dimension=work.payload.prompt.dimension,
                seed=work.payload.seed,
                seed_index=work.payload.index,
                model=model,
                origin="model",
                sampler=sampler,
                height_px=shape.height_px,
                width_px=shape.width_px,
                num_frames=shape.num_frames,
                fps=shape.fps,
                seconds=made.seconds,
                video=None
                if made.frames_THWC is None
                else blobs.put_video(made.frames_THWC, fps=shape.fps, coding=stored_as),
                latents=None if kept is None else blobs.put_arrays({"latents": kept}),
            )
        )
    return clips


def develop(
    generator: PipelineGenerator,
    chunk: Sequence[Work[Take]],
    *,
    undecoded: Mapping[str, Clip],
    blobs: Blobs,
    stored_as: StoredAs,
) -> list[Clip | Failed]:
    """Decode takes that were filmed before as latents alone, which are kept as they are; what `advance` calls.

    Args:
        generator: its autoencoder is used, and nothing else of it.
        chunk: the takes, none of them drafts.
        undecoded: the clip of each, by the key of the take: the same film, with latents and no frames.
        blobs: where both are kept.
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


def _filmed(generator: PipelineGenerator, requests: Sequence[ClipRequest]) -> list[GeneratedClip | Failed]:
    """A batch at once; what failed in it one by one, so that only clips that cannot be made are failures.

    A clip by itself is tried up to `NUM_TRIES` times, from the same seed: a fault that passes costs time and no clip.
    What must go up (see `outcome`) goes up at the first try.
    """
    made = _tried(generator, requests)
    is_lone = len(requests) == 1
    for turn in range(NUM_TRIES - is_lone):
        failed = [each for each in made if isinstance(each, Failed)]
        if not failed:
            break
        if turn == 0:
            first = f"{failed[0].error_type}: {failed[0].message}"
            what = "a clip" if is_lone else f"{len(failed)} of {len(requests)} clips filmed at once"
            advice = "" if is_lone else ", one by one. If this goes on, lower runtime.generate_batch"
            warnings.warn(f"{what} failed ({first}); tried again{advice}", stacklevel=2)
        made = [
            _tried(generator, [request])[0] if isinstance(each, Failed) else each
            for request, each in zip(requests, made, strict=True)
        ]
    return made


def _tried(generator: PipelineGenerator, requests: Sequence[ClipRequest]) -> list[GeneratedClip | Failed]:
    """One try; where it raises, every clip in it has failed."""
    made = outcome(generator.generate, requests)
    return [made] * len(requests) if isinstance(made, Failed) else list(made)
