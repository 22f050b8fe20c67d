"""Recipe settings for where and how fast a run executes: nothing here changes a result or enters a work key."""

from __future__ import annotations

import re
import shlex
from ipaddress import ip_address
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, field_validator, model_validator

from rushes.records.base import Count, Size
from rushes.roles import Runtime

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


_URL: Final = re.compile(r"https?://[^\s/@?#]+(/[^\s@?#]*)?")


Dollars = Annotated[float, Field(ge=0.0)]


class ServerRuntime(Runtime):
    """An OpenAI-compatible server (vLLM, SGLang, Ollama, llama.cpp, a hosted one), and its limits."""

    url: str
    """Address up to and including the version: http://localhost:8000/v1."""
    key_env: str | None = None
    """Name of the environment variable that holds the API key, never the key itself; null if the server needs none."""
    max_concurrent: Annotated[int, Field(ge=1, le=512)] = 8
    """Maximum number of requests in flight."""
    timeout_s: Annotated[float, Field(gt=0)] = 120.0
    """Longest wait for one reply, seconds."""
    num_retries: Annotated[int, Field(ge=0)] = 5
    """Retries after a time-out, a broken connection, 429 or 5xx."""
    max_wait_s: Annotated[float, Field(gt=0)] = 60.0
    """Longest pause before a retry, seconds; if the server demands a longer one, the run stops and can be resumed."""
    max_cost_usd: Dollars | None = None
    """Hard cap for the whole run, across resumes, US dollars; a request that might exceed it is not sent."""
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


_VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Z_][A-Z0-9_]{0,63}$")]


class RewardRuntime(Runtime):
    """A reward server: a reward model in a process of its own, or behind an address of this machine.

    docs/reward_servers.md has its protocol.
    """

    command: str | None = None
    """How to start it, in one line: `envs/videoalign/bin/python videoalign.py --folder VideoAlign`. No shell reads it;
    quotes keep words together. The run starts it when it needs it, and it ends with the run."""
    url: str | None = None
    """Address of one that runs already, on this machine: http://127.0.0.1:8090. It is sent the paths of files."""
    key_env: _VariableName | None = None
    """Name of the environment variable that holds the key for `url`, never the key itself; null if it needs none."""
    start_s: Annotated[float, Field(gt=0)] = 1800.0
    """Longest wait for its greeting, seconds: it may load weights first."""
    timeout_s: Annotated[float, Field(gt=0)] = 600.0
    """Longest wait for one reply, seconds."""
    pass_keys: tuple[_VariableName, ...] = ()
    """Environment variables with keys that `command` gets, such as HF_TOKEN; others that hold keys are withheld."""

    @field_validator("url")
    @classmethod
    def _on_this_machine(cls, url: str | None) -> str | None:
        # The value is not in the message: it may hold a password.
        if url is None:
            return None
        if not _URL.fullmatch(url) or not _is_loopback(urlsplit(url).hostname):
            raise ValueError(
                "url must look like http://127.0.0.1:8090, an address of this machine, without user name or password: "
                "clips are sent as paths of files"
            )
        return url.rstrip("/")

    @field_validator("command")
    @classmethod
    def _has_words(cls, command: str | None) -> str | None:
        if command is not None:
            try:
                words = shlex.split(command)
            except ValueError as error:
                raise ValueError(f"command cannot be split into words: {error}") from None
            if not words:
                raise ValueError("command must name a program")
        return command

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError("set exactly one of command and url")
        return self


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False


TrackerName = Literal["none", "tensorboard", "trackio", "wandb"]


class PreviewRuntime(Runtime):
    """Preview clips, sampled while training runs. They do not affect the weights; if one fails, training continues."""

    every: Count = 0
    """Optimiser steps between previews, with one before step 1 and one at the end; 0 for none."""
    prompts: tuple[str, ...] = ()
    """Prompts to sample, always with the same seeds; empty uses the first `num_prompts` that the run trains on."""
    num_prompts: Size = 2
    """How many of the run's own prompts to use if `prompts` is empty."""
    num_frames: Size | None = None
    """Maximum number of frames; null for that of the run's clips. If memory is short, fewer are generated, or none if
    even one frame does not fit; the event log reports it."""
    num_steps: Size | None = None
    """Denoising steps; null for those of `generate.sampler`."""


AttentionKernel = Literal[
    "auto",
    "native",
    "flash",
    "efficient",
    "cudnn",
    "math",
    "flash_attn",
    "flash_attn_3",
    "xformers",
    "flash_attn_hub",
    "flash_attn_3_hub",
]
"""Exact attention: torch's own kernels by name, `native` for torch's choice among them, or those of packages."""


class SamplingRuntime(Runtime):
    """How sampling uses the device: the same clips but for rounding."""

    attention: AttentionKernel = "auto"
    """Attention kernel. `native` leaves the choice to torch; `flash`, `efficient`, `cudnn` and `math` are torch's own;
    `flash_attn`, `flash_attn_3` and `xformers` need packages of these names; those with `_hub` download theirs from the
    Hub. `auto` tries those that are here, on a GPU, and takes the fastest that is right. Kernels differ in the last
    bits. SageAttention is less exact and a setting of the sampler."""
    guidance: Literal["auto", "one_call", "two_calls"] = "auto"
    """The passes with and without the prompt of models that are guided: `one_call` computes them as one batch, with
    twice the memory for activations; `auto` does so on a GPU where they fit into free memory. Only Wan and HunyuanVideo
    1.5 make two calls. The last bits differ."""
    compile_blocks: bool = False
    """True compiles the transformer's repeated blocks with `torch.compile`, as `runtime.train.compile_blocks` does."""
    overlap: bool = True
    """True samples the next clips while the last ones are decoded and stored, on a GPU of this process. It decodes them
    beside sampling only where both fit into free memory."""


class TrainRuntime(Runtime):
    """How training uses the device; nothing here enters a key."""

    recompute: Literal["auto", "none", "half", "all", "offload"] = "auto"
    """Activation checkpointing: which blocks recompute their activations in the backward pass instead of storing them.
    `half` is every second block; with `offload` all do, and on a GPU the inputs of the blocks wait in main memory;
    `auto` picks the fastest setting that fits into free memory. Results are the same."""
    offload: Literal["auto", "none", "group"] = "auto"
    """What waits in main memory while an adapter trains on one GPU: with `group` the blocks' frozen weights, which come
    and go layer by layer (diffusers' group offloading); every block is then recomputed. `auto` does so where
    nothing else fits. Results are the same. It has no effect on a CPU."""
    attention: AttentionKernel = "auto"
    """Attention kernel, as in `runtime.sampling`; `auto` tries the device's kernels at the start of training and picks
    the fastest that is right. On a CPU `auto` is `math` for short sequences and `flash` for long ones."""
    compile_blocks: bool = False
    """True compiles the transformer's repeated blocks with `torch.compile`: the first steps are slow (21 to 42 s for
    the sandbox's model on two CPU cores; later steps are then 1.4 times as fast), and the last bits differ."""
    tracker: TrackerName = "tensorboard"
    """Where training curves are shown. `trackio` and `wandb` may send them to their servers, depending on your
    configuration of them. The run folder always has every value."""
    num_processes: Size = 1
    """Training processes, each with its own GPU and its share of every batch; the other stages run in one process.
    `rushes run --num-processes`, `accelerate launch` and `torchrun` set it. Only rounding differs."""
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """How the processes share the model. `ddp`: each holds a full copy of the weights. `fsdp` (FSDP2): weights,
    gradients and optimiser state are sharded, with less memory per GPU and more communication."""
    previews: PreviewRuntime = PreviewRuntime()
    """Preview clips during training, as mp4 files in `previews/` of the run folder."""


class RuntimeSpec(Runtime):
    """Where and how fast; changing it never invalidates work."""

    device: str = "cpu"
    """torch device."""
    num_threads: Size = 2
    """CPU threads of torch."""
    generate_batch: Size = 16
    """Clips sampled at once."""
    free_text_encoder: bool = False
    """True encodes all texts of a stage first and then frees the text encoder's memory, which in real models is as
    large as the transformer. Which texts are encoded together may change the last bit of a text's states."""
    offload: Literal["auto", "none", "model", "group", "sequential"] = "auto"
    """What is moved off the GPU during generation: `model` keeps only the active component there; `group` only the
    active layer, and fetches the next one meanwhile (diffusers' group offloading); `sequential` only the active layer,
    much slower. `auto` picks the fastest of the first two and `group` that fits into free memory. Results are the same.
    It has no effect on a CPU, and training has `train.offload`."""
    sampling: SamplingRuntime = SamplingRuntime()
    """How sampling uses the device: kernels, guidance, compilation."""
    judge_batch: Size = 32
    """Clips judged or measured at once. A measurer with models on servers gets as many as a server's `max_concurrent`,
    up to 16, if that is more."""
    executor: Literal["local", "ray"] = "local"
    """Where clips are generated, judged and measured: in this process, or by the workers of a Ray cluster."""
    num_workers: Size = 1
    """Maximum number of Ray workers, each with its own copy of the model, `num_threads` cores, and a GPU if `device` is
    one."""
    ray_address: str | None = None
    """A running Ray cluster (`auto`, `ray://host:10001`); null starts one on this machine for this run."""
    allow_remote_code: bool = False
    """True runs Python code that comes with a model (`trust_remote_code`), and attention kernels from the Hub that the
    recipe names, with your permissions; enable it only for code that you have read."""
    servers: dict[str, ServerRuntime] = Field(default_factory=dict)
    """OpenAI-compatible servers, by the names that writers and judges refer to; nothing is sent anywhere else."""
    rewards: dict[str, RewardRuntime] = Field(default_factory=dict)
    """Reward servers, by the names that judges and measurers refer to."""
    cache_folder: str | None = None
    """Folder for the replies of language models and their cost; null for the run's own folder."""
    train: TrainRuntime = TrainRuntime()
    """How training uses the device: memory, kernels, curves."""


class FewStepSpec(Runtime):
    """A distilled LoRA that a budget may generate with: few steps, and no guidance."""

    model: str
    """A `.safetensors` file, a folder, or a Hub id, as in `generate.lora`."""
    file: str | None = None
    """The file in that folder or on the Hub."""
    num_steps: Annotated[int, Field(ge=1, le=12)] = 4
    """Denoising steps that it needs."""


class BudgetLoraSpec(Runtime):
    """A LoRA that a budget may train in place of all weights, with the learning rate that it needs."""

    rank: Size = 32
    """Rank, as in `train.lora`."""
    alpha: Size = 32
    """Numerator of its scale, as in `train.lora`."""
    learning_rate: Annotated[float, Field(gt=0)] = 1.0e-4
    """Learning rate; that of full training is far too small for an adapter."""


class BudgetSpec(Runtime):
    """A cost limit for the whole run; the recipe's counts are then upper bounds, and are reduced to fit."""

    gpu_hours: Annotated[float, Field(gt=0)] | None = None
    """Hours on one GPU for everything: probes, prompts, clips, judging, training, the comparison. It is compared with
    the estimate of `rushes plan`, which leaves out servers and the measurer. Null for no limit."""
    gpu: str = "H100"
    """Which GPU, by its name in `rushes plan`."""
    few_step: FewStepSpec | None = None
    """A distilled LoRA for the base; the first thing that a budget gives up for it are many steps and guidance when the
    clips to train on are generated. Null for none."""
    server: str | None = None
    """The entry of `runtime.servers` that serves language models on this GPU, many requests at a time: a budget may
    write prompts there instead of one after the other in this process, and its work counts. Null for none."""
    lora: BudgetLoraSpec | None = None
    """A budget may train an adapter in place of all weights. Null if it may not."""
