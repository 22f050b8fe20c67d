"""Which parameters are trained: the whole transformer, or a low-rank adapter on it; and what they are compared with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rushes.families.family import PLAIN, Conditions, Family
from rushes.families.mixed_precision import computes_bfloat16, mixed_precision
from rushes.families.texts import TextStates
from rushes.recipe.train import LoraSpec
from rushes.train.adapter import add_adapter, continue_adapter, without_dropout

_ROUNDED = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.Conv3d)
"""Layers whose weights autocast rounds in every pass."""


@dataclass(frozen=True, eq=False)
class Network:
    """The network in training, and its frozen start: a copy for full fine-tuning, the adapter switched off for LoRA."""

    family: Family
    tuned: Any
    """A diffusers transformer."""
    frozen: Any | None
    """Its untouched copy; None for LoRA."""
    origin: Mapping[str, Tensor] | None
    """The initial weights, unrounded, under the base's names. None for the family's own: those may be moved to another
    device meanwhile, and a reference here would keep the old copies alive."""
    autocast: bool
    conditions: Conditions = PLAIN
    called: Any | None = None
    """The wrapper for several processes, called instead of `tuned` to get gradients; None for one process."""
    base: Any | None = None
    """The frozen base of a later round that compares with it; None if that is the start, or nothing does."""
    old: dict[str, Tensor] | None = None
    """The trained parameters' values in the moving old policy, changed by the loop; None without one."""
    begun: dict[str, Tensor] | None = None
    """Their values at the start, where that is no change of 0: an adapter that continues one of the base."""
    unfolded: frozenset[str] = frozenset()
    """Layers whose frozen weights are the base's without its own adapter, which the trained one continues."""

    @property
    def device(self) -> torch.device:
        """The network's device."""
        return self.family.device

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """The trained parameters, by name."""
        return {name: value for name, value in self.tuned.named_parameters() if value.requires_grad}

    def velocity(self, z_t: Tensor, sigma_B: Tensor, text: TextStates) -> Tensor:
        """The tuned model's velocity; the family's path converts sigma into the transformer's timestep."""
        through = self.called if self.called is not None and torch.is_grad_enabled() else self.tuned
        return self._run(through, z_t, sigma_B, text)

    @property
    def models(self) -> tuple[Any, ...]:
        """All transformers that the network holds."""
        return tuple(model for model in (self.tuned, self.frozen, self.base) if model is not None)

    def of_base(self, z_t: Tensor, sigma_B: Tensor, text: TextStates) -> Tensor:
        """The velocity of the base, before any round."""
        assert self.base is not None
        return self._run(self.base, z_t, sigma_B, text)

    def of_old(self, z_t: Tensor, sigma_B: Tensor, text: TextStates) -> Tensor:
        """The old policy's velocity, without gradient. Not to be called between a pass with gradients and its end."""
        assert self.old is not None
        with self._with(self.old):
            return self._run(self.tuned, z_t, sigma_B, text)

    def reference(self, z_t: Tensor, sigma_B: Tensor, text: TextStates) -> Tensor:
        """The velocity of the frozen model that this round starts from."""
        if self.frozen is not None:
            return self._run(self.frozen, z_t, sigma_B, text)
        with self._without_adapter() if self.begun is None else self._with(self.begun):
            return self._run(self.tuned, z_t, sigma_B, text)

    def _run(self, model: Any, z_t: Tensor, sigma_B: Tensor, text: TextStates) -> Tensor:
        with mixed_precision(z_t.device, torch.bfloat16, enabled=self.autocast), without_dropout(model):
            return self.family.predict(model, z_t, self.family.path.timestep(sigma_B), text, self.conditions)

    @contextlib.contextmanager
    def _with(self, values: dict[str, Tensor]) -> Iterator[None]:
        """Parameters and `values` change places, in their own storages: sharded weights are gathered from these."""
        pairs = [(value, values[name]) for name, value in self.parameters().items()]
        with torch.no_grad():
            _change_places(pairs)
            try:
                yield
            finally:
                _change_places(pairs)

    @contextlib.contextmanager
    def _without_adapter(self) -> Iterator[None]:
        self.tuned.disable_adapters()
        try:
            yield
        finally:
            self.tuned.enable_adapters()


def make_network(
    family: Family,
    lora: LoraSpec | None,
    start: dict[str, Tensor] | None,
    *,
    autocast: bool,
    conditions: Conditions = PLAIN,
    keeps_base: bool = False,
) -> Network:
    """The network to train. Until step 1 it equals the base, or the previous round's weights (`start`).

    Args:
        family: the loaded base; its own transformer is left untouched.
        lora: None for full fine-tuning.
        start: full initial weights; None for the base's.
        autocast: compute in bfloat16 with float32 weights, where the device has instructions for that.
        conditions: the transformer's inputs besides latents, timestep and text.
        keeps_base: hold a copy of the base as well, where the network starts from other weights.

    Raises:
        TrainingError: an adapter is requested and the transformer has none of the layers that it changes.
    """
    import copy

    autocast = autocast and computes_bfloat16(family.device)
    tuned = copy.deepcopy(family.transformer)
    base = None
    if start is not None:
        base = copy.deepcopy(tuned).requires_grad_(False).eval() if keeps_base else None
        tuned.load_state_dict(start)
    frozen = None
    if lora is None:
        frozen = copy.deepcopy(tuned).requires_grad_(False).eval()
        tuned.requires_grad_(True)
    else:
        tuned.requires_grad_(False)
        add_adapter(tuned, lora, lora.targets or family.lora_targets)
    unfolded = frozenset[str]()
    if lora is not None and lora.continues and start is None:
        unfolded = continue_adapter(tuned, family.start_adapter, lora)
    if autocast:
        for model in (tuned if frozen is None else frozen, base):
            if model is not None:
                round_frozen(model)
    return Network(family, tuned.train(), frozen, start, autocast, conditions, base=base, unfolded=unfolded)


def _change_places(pairs: Sequence[tuple[Tensor, Tensor]]) -> None:
    for one, other in pairs:
        held = one.detach().clone()
        one.copy_(other)
        other.copy_(held)


def round_frozen(model: torch.nn.Module) -> None:
    """Keep frozen weights of linear and convolution layers in bfloat16, which halves their memory.

    Autocast rounds exactly these in every pass, so results do not change. Weights that autocast leaves in float32
    (norms, embeddings, modulation tables) stay, and so do trained weights and those that the model requires in float32.
    """
    keep = tuple(getattr(model, "_keep_in_fp32_modules", None) or ())
    for name, module in model.named_modules():
        if isinstance(module, _ROUNDED) and not set(name.split(".")) & set(keep):
            for value in module.parameters(recurse=False):
                if not value.requires_grad:
                    value.data = value.data.to(torch.bfloat16)


def merged_weights(network: Network, average: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tuned model's weights under the base's own names, with averaged parameters and merged adapters."""
    import copy

    model = copy.deepcopy(network.tuned)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name in average:
                value.copy_(average[name])
    if network.frozen is None:
        from peft.tuners.lora import LoraLayer

        _unround(model, _origin(network))
        plain: dict[str, Tensor] = {}
        adapted = {name for name, module in model.named_modules() if isinstance(module, LoraLayer)}
        for module in model.modules():
            if isinstance(module, LoraLayer):
                module.merge()
        for name, value in model.state_dict().items():
            if ".lora_" in name:
                continue
            owner = name.rsplit(".base_layer.", 1)[0]
            plain[name.replace(".base_layer.", ".") if owner in adapted else name] = value.clone().contiguous()
        return plain
    return {name: value.clone().contiguous() for name, value in model.state_dict().items()}


def _origin(network: Network) -> Mapping[str, Tensor]:
    """The frozen weights of the network, unrounded, under the base's names."""
    origin = network.family.transformer.state_dict() if network.origin is None else network.origin
    adapter = network.family.start_adapter
    plain = {
        f"{name}.weight": origin[f"{name}.weight"].float() - adapter[name].delta.to(origin[f"{name}.weight"].device)
        for name in network.unfolded
    }
    return {**origin, **plain}


def _unround(model: torch.nn.Module, origin: Mapping[str, Tensor]) -> None:
    """Restore the base's own weights where `round_frozen` has rounded them."""
    for name, value in model.named_parameters():
        if value.dtype == torch.bfloat16:
            value.data = origin[name.replace(".base_layer.", ".")].to(value.device, copy=True)
