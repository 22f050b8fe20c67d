"""Code that loads an exported model and generates a clip with the sampler used for the measurements."""

from __future__ import annotations

import inspect
import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from rushes.export.base import Base
from rushes.export.dialects import DIFFUSERS_FILE
from rushes.families.experts import PartName
from rushes.families.ltx import DECODE_NOISE_SCALE, DECODE_TIMESTEP
from rushes.families.ltx2 import PLAIN_GUIDANCE
from rushes.recipe.recipe import Recipe

_DECODING: Final = {"decode_timestep": DECODE_TIMESTEP, "decode_noise_scale": DECODE_NOISE_SCALE}
"""Decoding options of LTX-Video's autoencoder; no other pipeline has them."""
PLACE: Final = "user/name"
"""Placeholder for the repository until it is known."""


@dataclass(frozen=True)
class Snippet:
    """Python code for a reader to paste."""

    code: str
    """Runs unchanged if the named models are available."""


def make_snippet(
    recipe: Recipe,
    base: Base,
    form: Literal["lora", "transformer", "pipeline"],
    place: str,
    prompt: str,
    seed: int,
    tuned: Sequence[PartName] = ("transformer",),
) -> Snippet:
    """Write the code.

    Args:
        recipe: the run's.
        base: the model it was tuned from.
        form: what the folder holds.
        place: the repository, or a folder.
        prompt: a prompt; any text.
        seed: of the initial noise.
        tuned: which of the model's transformers the folder holds.
    """
    sampler, shape = recipe.measure.sampler, recipe.shape
    pipeline, scheduler = base.pipeline_class.__name__, sampler.scheduler
    names = sorted({pipeline, scheduler} | ({base.transformer_class_name} if form == "transformer" else set()))
    known = inspect.signature(base.pipeline_class.__call__).parameters
    call = _call(recipe, prompt, seed, known)
    lines = [
        *(["from importlib.resources import files", ""] if base.in_package and form != "pipeline" else []),
        "import torch",
        f"from diffusers import {', '.join(names)}",
        "from diffusers.utils import export_to_video",
        "",
        'device = "cuda" if torch.cuda.is_available() else "cpu"',
        *_loading(
            [replace(base, part=part) for part in tuned],
            form,
            place,
            pipeline,
            "float32" if sampler.precision == "float32" else "bfloat16",
        ),
        _scheduler_line(scheduler, sampler.shift),
        *_beside_the_call(call, known),
        "frames = pipeline(",
        *(f"    {name}={value}," for name, value in call.items() if name in known),
        ").frames[0]",
        f'export_to_video(frames, "clip.mp4", fps={max(1, round(shape.fps))})',
    ]
    return Snippet("\n".join(lines))


def _call(recipe: Recipe, prompt: str, seed: int, known: Container[str]) -> dict[str, object]:
    """What pipelines' calls may take, under all their names."""
    sampler, shape = recipe.measure.sampler, recipe.shape
    call: dict[str, object] = {
        "prompt": _literal(prompt),
        "negative_prompt": _literal(sampler.negative_prompt),
        "height": shape.height_px,
        "width": shape.width_px,
        "num_frames": shape.num_frames,
        "frames": shape.num_frames,
        "use_resolution_binning": False,
        "num_inference_steps": sampler.num_steps,
        "guidance_scale": sampler.guidance_scale,
        **({} if sampler.guidance_scale_2 is None else {"guidance_scale_2": sampler.guidance_scale_2}),
        "max_sequence_length": recipe.base.max_tokens,
        "frame_rate": f"{shape.fps:g}",
        "generator": f"torch.Generator().manual_seed({seed})",
    }
    if "stg_scale" in known:  # LTX-2
        call |= {**PLAIN_GUIDANCE, "audio_guidance_scale": sampler.guidance_scale}
    else:
        call |= _DECODING
    return call


def _loading(bases: Sequence[Base], form: str, place: str, pipeline: str, dtype: str) -> list[str]:
    base = bases[0]
    if form == "pipeline":
        return [f"pipeline = {pipeline}.from_pretrained({_literal(place)}, dtype=torch.{dtype}).to(device)"]
    where = _literal(base.public_name)
    if base.in_package is not None:
        package, inside = base.in_package
        where = f"str(files({_literal(package)}) / {_literal(inside)})"
    if form == "lora":
        return [
            f"pipeline = {pipeline}.from_pretrained({where}, dtype=torch.{dtype}).to(device)",
            *(_load_adapter(each, _literal(place)) for each in bases),
        ]
    given = ", ".join(f"{each.part}={each.part}" for each in bases)
    return [
        *(
            f"{each.part} = {each.transformer_class_name}.from_pretrained({_literal(place)}, dtype=torch.{dtype}, "
            f'subfolder="{each.part}")'
            for each in bases
        ),
        f"pipeline = {pipeline}.from_pretrained({where}, {given}, dtype=torch.{dtype}).to(device)",
    ]


def _which(base: Base) -> str:
    """The arguments that name the file of one of two transformers."""
    if not base.suffix:
        return ""
    name, into = f"{Path(DIFFUSERS_FILE).stem}{base.suffix}.safetensors", base.part == "transformer_2"
    return f', weight_name="{name}", adapter_name="{base.part}"{", load_into_transformer_2=True" * into}'


def _load_adapter(base: Base, place: str) -> str:
    """The line that loads an adapter; not every pipeline can, but every transformer."""
    if hasattr(base.pipeline_class, "load_lora_weights"):
        return f"pipeline.load_lora_weights({place}{_which(base)})"
    return f'pipeline.transformer.load_lora_adapter({place}, weight_name="{DIFFUSERS_FILE}")'


def _beside_the_call(call: Mapping[str, object], known: Container[str]) -> list[str]:
    """Settings that HunyuanVideo 1.5 takes from the pipeline, not from its call."""
    if "guidance_scale" in known:
        return []
    return [
        f"pipeline.guider = pipeline.guider.new(guidance_scale={call['guidance_scale']}, enabled=True)",
        f"pipeline.tokenizer_max_length = {call['max_sequence_length']}",
    ]


def _scheduler_line(scheduler: str, shift: float) -> str:
    flow = f', prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift={shift:g}'
    settings = {
        "UniPCMultistepScheduler": flow,
        "DPMSolverMultistepScheduler": flow,
        "FlowMatchEulerDiscreteScheduler": f", use_dynamic_shifting=False, shift={shift:g}",
    }.get(scheduler, "")
    return f"pipeline.scheduler = {scheduler}.from_config(pipeline.scheduler.config{settings})"


def _literal(text: str) -> str:
    """A Python text literal in double quotes that holds exactly `text`, on one line, safe inside a fenced block."""
    return json.dumps(text, ensure_ascii=False).replace("`", "\\u0060").replace("\x7f", "\\u007f")
