"""How a loaded pipeline uses its device when it samples: attention kernel, guidance, compilation.

What is chosen changes rounding alone, is written to the run's event log, and is kept for as long as the pipeline is
loaded, so that clips of one shape are all sampled in one way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

from rushes.errors import RecipeError
from rushes.families.attention import AttentionCall, AttentionCalls, attention_for_sampling
from rushes.families.guidance import Forward, InOneCall, around_forward
from rushes.families.kernel_trial import candidates, fastest, tried
from rushes.families.kernels import NATIVE, check_kernel
from rushes.families.model_size import decoding_bytes, loaded_model_size, sampling_bytes
from rushes.families.recompute import SAFETY, free_bytes
from rushes.recipe.base import ShapeSpec
from rushes.recipe.runtime import SamplingRuntime
from rushes.records import SamplerSettings

if TYPE_CHECKING:
    from rushes.families.family import Family
    from rushes.families.loaded import LoadedPipeline
    from rushes.store.events import EventLog


_PLAIN: Final = SamplingRuntime(guidance="two_calls", attention="native")
"""What a model that was loaded by itself does."""


@dataclass(frozen=True, eq=False)
class Speed:
    """The settings of a recipe, and what was chosen by them so far."""

    settings: SamplingRuntime = _PLAIN
    """`runtime.sampling`."""
    allows_remote_code: bool = False
    """`runtime.allow_remote_code`."""
    log: EventLog | None = None
    """Where choices are written; None for nowhere."""
    kernels: dict[tuple[ShapeSpec, str], str] = field(default_factory=dict[tuple[ShapeSpec, str], str])
    """The kernel by shape and number format."""
    pairs: dict[tuple[ShapeSpec, int], bool] = field(default_factory=dict[tuple[ShapeSpec, int], bool])
    """Whether guidance is one call, by shape and number of clips."""

    @contextmanager
    def applied(self, family: LoadedPipeline, sampler: SamplerSettings, shape: ShapeSpec, num: int) -> Iterator[None]:
        """A context for one call of a pipeline.

        Args:
            family: the model.
            sampler: how it samples.
            shape: of the clips.
            num: clips at once.

        Raises:
            RecipeError: the recipe names a kernel that cannot be used here.
        """
        networks = list(family.transformers.values())
        with ExitStack() as stack:
            if self._has_kernel(family, sampler):
                through = lambda forward: self._with_kernel(forward, family, sampler, shape)  # noqa: E731
                stack.enter_context(around_forward(networks, through))
            if self._is_one_call(family, sampler, shape, num):
                stack.enter_context(around_forward(networks, InOneCall))
            yield

    # ---------------------------------------------------------------- attention

    def _has_kernel(self, family: LoadedPipeline, sampler: SamplerSettings) -> bool:
        asked = self.settings.attention
        return sampler.attention is not None or asked not in ("auto", NATIVE) or is_tried(asked, family.device)

    def _with_kernel(
        self, forward: Forward, family: LoadedPipeline, sampler: SamplerSettings, shape: ShapeSpec
    ) -> Forward:
        """A `forward` with the kernel for a shape; the first call of a shape finds out which."""
        key = (shape, sampler.attention or sampler.precision)

        def run(*args: Any, **inputs: Any) -> Any:
            if key not in self.kernels:
                watched = AttentionCalls()
                with watched:
                    made = forward(*args, **inputs)
                self.kernels[key] = self.chosen(list(watched.calls), sampler, family.device)
                if self.kernels[key] == NATIVE:
                    return made
            with attention_for_sampling(self.kernels[key]):
                return forward(*args, **inputs)

        return run

    def chosen(self, calls: Sequence[AttentionCall], sampler: SamplerSettings, device: torch.device) -> str:
        """The kernel for these calls, by name.

        Raises:
            RecipeError: the recipe names one that cannot be used here.
        """
        is_own = sampler.attention is None
        setting, instead = ("runtime.sampling.attention", "auto") if is_own else ("generate.sampler.attention", "null")
        asked = sampler.attention or self.settings.attention
        check_kernel(asked, setting, device.type, allows_remote_code=self.allows_remote_code)
        names = [NATIVE, *candidates()] if asked == "auto" else [NATIVE, asked]
        found = {name: each for name in names if (each := tried(name, calls, device)) is not None}
        if asked == "auto":
            chosen = fastest(found) if NATIVE in found else NATIVE
        elif asked in found:
            chosen = asked
        else:
            raise RecipeError(
                f"the attention kernel {asked!r} cannot be used here",
                expected=f"a kernel for attention of {[call.query for call in calls][:3]} on {device.type}",
                got=asked,
                next_step=f"--set {setting}={instead}",
            )
        self._write("sampling_attention", kernel=chosen, trials={name: asdict(each) for name, each in found.items()})
        return chosen

    # ---------------------------------------------------------------- guidance

    def _is_one_call(self, family: LoadedPipeline, sampler: SamplerSettings, shape: ShapeSpec, num: int) -> bool:
        """Whether both passes of guidance are one batch; never with a cache, which tells the two calls apart."""
        asked = self.settings.guidance
        if asked == "two_calls" or sampler.cache is not None or sampler.guidance_scale <= 1 or not family.guides_twice:
            return False
        if asked == "one_call":
            return True
        key = (shape, num)
        if key not in self.pairs:
            self.pairs[key] = fits(family, shape, 2 * num)
            self._write("sampling_guidance", one_call=self.pairs[key], num_clips=num)
        return self.pairs[key]

    def _write(self, event: str, **fields: Any) -> None:
        if self.log is not None:
            self.log.write(event, **fields)


def fits(family: LoadedPipeline | Family, shape: ShapeSpec, num: int) -> bool:
    """Whether sampling and decoding so many clips at once surely fits into a GPU's free memory.

    False on a CPU, where nobody has measured that larger batches gain, and where parts are moved about, which leaves no
    measure of what is free.
    """
    if family.device.type == "cpu" or family.placement.offload != "none":
        return False
    free, size = free_bytes(family.device), loaded_model_size(family.pipeline)
    if free is None or size is None:
        return False
    # Attention on a GPU does not store the matrix of scores.
    return sampling_bytes(replace(size, num_heads=0), shape, num) <= SAFETY * free


def clips_that_fit(family: LoadedPipeline, latents_NCthw: Tensor) -> int:
    """How many clips can be decoded at once, at least 1; all where free memory or the model's sizes are unknown."""
    num, _, t, h, w = latents_NCthw.shape
    free, size = free_bytes(family.device), loaded_model_size(family.pipeline)
    if free is None or size is None or num < 2:
        return max(1, num)
    temporal, spatial = size.compression
    one = decoding_bytes(size, (t - 1) * temporal + 1, h * w * spatial**2)
    return max(1, min(num, int(SAFETY * free / one)))


def is_tried(asked: str, device: torch.device) -> bool:
    """Whether `auto` tries kernels: on a GPU; on a CPU torch's choice for sampling is the flash kernel."""
    return asked == "auto" and device.type == "cuda"


def compile_blocks(
    transformer: Any,
    backend: str | Callable[..., Any] = "inductor",
    *,
    setting: str = "runtime.train.compile_blocks",
) -> None:
    """Compile the repeated blocks of a diffusers transformer; each kind is compiled once.

    Args:
        transformer: the network.
        backend: of `torch.compile`.
        setting: the recipe's setting that asks for it, for the error.

    Raises:
        RecipeError: the transformer does not declare them.
    """
    if not getattr(transformer, "_repeated_blocks", None):
        raise RecipeError(
            f"{type(transformer).__name__} does not declare its repeated blocks",
            next_step=f"--set {setting}=false",
        )
    transformer.compile_repeated_blocks(backend=backend)
