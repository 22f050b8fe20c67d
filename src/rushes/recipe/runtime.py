"""What a recipe can say about where and how fast: nothing here changes a result or enters a work key."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator

from rushes.records.base import Count, Size
from rushes.roles import Runtime

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


_URL: Final = re.compile(r"https?://[^\s/@?#]+(/[^\s@?#]*)?")


Dollars = Annotated[float, Field(ge=0.0)]


class ServerRuntime(Runtime):
    """An OpenAI-compatible server (vLLM, SGLang, Ollama, llama.cpp, a hosted one), and how to treat it."""

    url: str
    """Address up to and including the version: http://localhost:8000/v1."""
    key_env: str | None = None
    """Name of the environment variable that holds the key, never the key; None for a server that wants none."""
    max_concurrent: Annotated[int, Field(ge=1, le=512)] = 8
    """Requests in flight at most."""
    timeout_s: Annotated[float, Field(gt=0)] = 120.0
    """Longest wait for one reply, seconds."""
    num_retries: Annotated[int, Field(ge=0)] = 5
    """Further tries after a time-out, a broken connection, 429 or 5xx."""
    max_wait_s: Annotated[float, Field(gt=0)] = 60.0
    """Longest pause between two tries, seconds; a server that asks for more ends the run, which can be resumed."""
    max_cost_usd: Dollars | None = None
    """Hard cap over the whole run, resumed or not, US dollars; a request that might pass it is not sent."""
    usd_per_million_input: Dollars = 0.0
    """Price of a million input tokens, US dollars; 0 for your own server."""
    usd_per_million_output: Dollars = 0.0
    """Price of a million output tokens, US dollars."""

    @field_validator("url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        # The value is not in the message: it may hold a password.
        if not _URL.fullmatch(url):
            raise ValueError("url must look like http://localhost:8000/v1, without user name, password or query")
        return url.rstrip("/")

    @field_validator("key_env")
    @classmethod
    def _name_not_key(cls, name: str | None) -> str | None:
        # The value is not in the message: it may be the key itself.
        if name is not None and not (_VARIABLE.fullmatch(name) and name == name.upper()):
            raise ValueError(
                "key_env must be the NAME of an environment variable in capitals, such as OPENAI_API_KEY, "
                "not the key itself"
            )
        return name


TrackerName = Literal["none", "tensorboard", "trackio", "wandb"]


class PreviewRuntime(Runtime):
    """Sample clips to look at while training runs. They move no weight; training goes on where one cannot be made."""

    every: Count = 0
    """Optimiser steps between looks, with one before step 1 and one at the end; 0 for none."""
    prompts: tuple[str, ...] = ()
    """Texts to sample, always with the same seeds; empty takes the first `num_prompts` that the run trains on."""
    num_prompts: Size = 2
    """How many of the run's own prompts, where none are named."""
    num_frames: Size | None = None
    """Frames at most; None for those of the run's clips. Fewer are generated where memory is short, none where even one
    frame does not fit: the event log says so."""
    num_steps: Size | None = None
    """Denoising steps; None for those of `generate.sampler`."""


class TrainRuntime(Runtime):
    """How training uses the device; nothing here enters a key."""

    recompute: Literal["auto", "none", "half", "all"] = "auto"
    """Blocks whose activations are computed again in the backward pass instead of kept: `half` every second one; `auto`
    takes the fastest that fits the memory that is free. The same numbers either way."""
    attention: Literal["auto", "flash", "efficient", "cudnn", "math"] = "auto"
    """Attention kernel; `auto` times those that the device has at the start of training and takes the fastest. Kernels
    differ in the last bits. On a CPU `auto` is `math` for short sequences and `flash` for long ones."""
    compile_blocks: bool = False
    """True compiles the transformer's repeated blocks with `torch.compile`: the first steps are slow (21 to 42 s for
    the sandbox's model on two CPU cores, whose steps are then 1.4 times as fast), and the last bits differ."""
    tracker: TrackerName = "tensorboard"
    """Where curves are shown while it trains. `trackio` and `wandb` may send them to their servers, as you set those
    up; the run folder has every value in any case."""
    num_processes: Size = 1
    """Processes that optimise together, each on a GPU of its own and each with its share of every batch; the other
    stages stay in one. `rushes run --num-processes`, and `accelerate launch` or `torchrun`, set it. Only rounding
    differs."""
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """How they share: `ddp`, a whole copy of the weights in each; `fsdp` (FSDP2), weights, gradients and optimiser
    divided between them, which takes less memory of each and more traffic."""
    previews: PreviewRuntime = PreviewRuntime()
    """Sample clips while it trains, as mp4 files in `previews/` of the run folder."""


class RuntimeSpec(Runtime):
    """Where and how fast; changing it never invalidates work."""

    device: str = "cpu"
    """torch device."""
    num_threads: Size = 2
    """CPU threads of torch."""
    generate_batch: Size = 16
    """Clips sampled at once."""
    free_text_encoder: bool = False
    """True encodes all texts of a stage first and then frees the text encoder's memory, which is as large as the
    transformer in real models. Other texts encoded together may change the last bit of a text's states."""
    offload: Literal["auto", "none", "model", "sequential"] = "auto"
    """What of the model leaves the GPU between its turns while it generates: `model` all parts but the one at work,
    `sequential` all layers but that, much slower; `auto` takes the fastest that fits the memory that is free. The same
    numbers either way; nothing is moved on a CPU, and training is not offloaded."""
    judge_batch: Size = 32
    """Clips judged at once."""
    executor: Literal["local", "ray"] = "local"
    """Where clips are generated, judged and measured: in this process, or by the workers of a Ray cluster."""
    num_workers: Size = 1
    """Ray workers at most, each with a model of its own, `num_threads` cores, and a GPU where `device` is one."""
    ray_address: str | None = None
    """A running Ray cluster (`auto`, `ray://host:10001`); None starts one on this machine for this run."""
    allow_remote_code: bool = False
    """True runs Python code that comes with a model (`trust_remote_code`), as you: only for code that you have read."""
    servers: dict[str, ServerRuntime] = Field(default_factory=dict)
    """OpenAI-compatible servers by the names that writers and judges call them by; nothing is sent anywhere else."""
    cache_folder: str | None = None
    """Where replies of language models and what they cost are kept; None for the run's own folder."""
    train: TrainRuntime = TrainRuntime()
    """How training uses the device: memory, kernels, curves."""


class BudgetSpec(Runtime):
    """What the whole run may cost; what the recipe asks for is an upper bound then, and is cut down to fit."""

    gpu_hours: Annotated[float, Field(gt=0)] | None = None
    """Hours on one GPU for everything: probes, prompts, clips, judging, training, the comparison. An estimate decides
    (`rushes plan`), which knows nothing of servers and of the measurer. None for no limit."""
    gpu: str = "H100"
    """Which GPU, by its name in `rushes plan`."""
