"""A transformer of a real class without memory: its config is all that is needed. Its passes are counted, not computed.

Legend: B clips, C latent channels, t h w latent frames, rows and columns, L text tokens.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from rushes.families.family import Conditions
from rushes.families.paper import Paper, class_name_of
from rushes.families.texts import TextStates

if TYPE_CHECKING:
    from rushes.families.loaded import LoadedPipeline

_WITHOUT_MASK: Final = ("WanTransformer3DModel", "CogVideoXTransformer3DModel")
"""Transformers that take no mask of their text."""
_SECOND: Final = 256
"""Tokens of HunyuanVideo 1.5's second text encoder, always as many."""

NumberFormat = Literal["float32", "bfloat16", "float8"]


def drawn(paper: Paper, number_format: NumberFormat) -> LoadedPipeline:
    """The family's adapter around a transformer on torch's `meta` device; without autoencoder and text encoders.

    Args:
        paper: the transformer.
        number_format: of its weights; what the model needs in float32 stays so. `float8` is stored as bfloat16 here:
            see `in_float8`.
    """
    import diffusers

    from rushes.families.load import classes_of

    pipeline_class, adapter = classes_of(paper.family)
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler
    if paper.family == "cogvideox":
        scheduler = diffusers.CogVideoXDDIMScheduler
    with torch.device("meta"):
        transformer = class_of(paper)(**paper.config)
    keep = set(getattr(transformer, "_keep_in_fp32_modules", None) or ())
    for name, value in transformer.named_parameters():
        value.requires_grad_(False)
        if number_format != "float32" and not set(name.split(".")) & keep:
            value.data = value.data.bfloat16()
    own = {"expand_timesteps": True} if paper.expand_timesteps else {}
    left_out: dict[str, Any] = dict.fromkeys(_parts_of(pipeline_class) - {"transformer", "scheduler"})
    if paper.family == "hunyuan15":  # its pipeline asks it for a number
        with torch.device("meta"):
            left_out["vae"] = diffusers.AutoencoderKLHunyuanVideo15(block_out_channels=(32, 32, 32, 32, 32))
    pipeline = pipeline_class(transformer=transformer.eval(), scheduler=scheduler(), **left_out, **own)
    return adapter(
        pipeline=pipeline,
        fingerprint="",
        max_tokens=int(getattr(transformer.config, "max_text_seq_length", 0) or 0),
        device=torch.device("cpu"),
        scheduler_config=pipeline.scheduler.config,
        load_transformer=None,
    )


def class_of(paper: Paper) -> Any:
    """The transformer's class."""
    import diffusers

    return getattr(diffusers, class_name_of(paper))


def _parts_of(pipeline_class: Any) -> set[str]:
    """Names of the components that the pipeline's `__init__` requires."""
    import inspect

    taken = inspect.signature(pipeline_class.__init__).parameters.values()
    return {each.name for each in taken if each.default is each.empty and each.name != "self"}


def text_input(transformer: Any, num: int, num_tokens: int) -> TextStates:
    """A batch of texts as the transformer takes them, of the current device; the values do not matter."""
    config, class_name = transformer.config, type(transformer).__name__
    width = config.get("text_dim") or config.get("text_embed_dim") or config.get("caption_channels")
    states = torch.zeros(num, num_tokens, int(width))
    if class_name in _WITHOUT_MASK:
        return TextStates(states)
    mask = torch.ones(num, num_tokens, dtype=torch.bool)
    pooled, other = config.get("pooled_projection_dim"), config.get("text_embed_2_dim")
    if other is not None:
        second_mask = torch.ones(num, _SECOND, dtype=torch.bool)
        return TextStates(states, mask, None, torch.zeros(num, _SECOND, int(other)), second_mask)
    if class_name == "LTX2VideoTransformer3DModel":
        return TextStates(states, mask, None, torch.zeros_like(states))
    return TextStates(states, mask, None if pooled is None else torch.zeros(num, int(pooled)))


class MasksAreFull(TorchFunctionMode):
    """Inside, what a mask selects is everything and what its inverse selects is nothing; and all of a tensor is 0.

    HunyuanVideo 1.5 puts its text in order by masks, whose values a tensor without memory does not have. Their order
    changes no size.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is torch.all:
            return True
        if func is Tensor.__invert__:
            made = func(*args)
            made.selects_nothing = True
            return made
        if func is Tensor.__getitem__ and isinstance(args[1], Tensor) and args[1].dtype == torch.bool:
            return args[0][: 0 if hasattr(args[1], "selects_nothing") else len(args[0])].clone()
        return func(*args, **(kwargs or {}))


def make_fake(module: torch.nn.Module) -> None:
    """Give a module on the `meta` device parameters and buffers of the fake mode that is entered: shapes without memory
    on a CPU, on which operations behave as on real ones."""
    for part in module.modules():
        for name, value in part._parameters.items():
            if value is not None:
                fake = torch.empty(value.shape, dtype=value.dtype)
                part._parameters[name] = torch.nn.Parameter(fake, requires_grad=value.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)


def in_float8(transformer: Any) -> int:
    """Let layers compute as those whose weights are stored in 8 bits: with a bfloat16 copy that is made in each pass.

    diffusers' own hooks exchange the weights in place, which fake tensors do not allow; what lives when is the same.

    Returns:
        Bytes of the weights that are stored in 8 bits instead of 16.
    """
    from rushes.families.mixed_precision import cast_layers

    saved = 0
    for layer in cast_layers(transformer):
        weight = layer.weight
        saved += weight.nbytes // 2
        if isinstance(layer, (torch.nn.Linear, torch.nn.Conv2d, torch.nn.Conv3d)):
            layer.forward = _copying(layer)  # type: ignore[method-assign, assignment]
    return saved


def _copying(layer: Any) -> Callable[[Tensor], Tensor]:
    def forward(x: Tensor) -> Tensor:
        if isinstance(layer, torch.nn.Linear):
            return functional.linear(x, layer.weight.clone(), layer.bias)
        made: Tensor = layer._conv_forward(x, layer.weight.clone(), layer.bias)
        return made

    return forward


@contextlib.contextmanager
def as_on_gpu() -> Iterator[None]:
    """Inside, norms under a CPU's autocast compute in float32, as under a GPU's.

    The functions themselves are replaced, not by a mode, which would not hold for blocks that are recomputed.
    """
    names = ("layer_norm", "group_norm")
    before = {name: getattr(functional, name) for name in names}
    for name, own in before.items():
        setattr(functional, name, _in_float32(own))
    try:
        yield
    finally:
        for name, own in before.items():
            setattr(functional, name, own)


def _in_float32(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def called(*args: Any, **named: Any) -> Tensor:
        if torch.is_autocast_enabled("cpu"):
            args = tuple(each.float() if isinstance(each, Tensor) else each for each in args)
            named = {name: each.float() if isinstance(each, Tensor) else each for name, each in named.items()}
        return function(*args, **named)

    return called


@contextlib.contextmanager
def faking() -> Iterator[None]:
    """Inside, new tensors have shapes and no memory."""
    with FakeTensorMode(allow_non_fake_inputs=True), MasksAreFull():
        yield


CONDITIONS: Final = Conditions(fps=16.0, guidance=6.0)
"""What a counted pass is given besides latents and text."""
