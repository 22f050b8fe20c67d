"""Which parameters are trained: the whole transformer, or a low-rank adapter on it; and what they are compared with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rushes.families.family import PLAIN, Conditions, Family
from rushes.families.mixed_precision import computes_bfloat16, is_in_float8, mixed_precision, store_in_float8
from rushes.families.texts import TextStates
from rushes.families.trainable import add_adapter, hold_for_backward, round_frozen
from rushes.recipe.train import LoraSpec
from rushes.train.adapter import continue_adapter, without_dropout


@dataclass(frozen=True, eq=False)
class Network:
    """The network in training, and its frozen start: a copy for full fine-tuning, the adapter switched off for LoRA."""

    family: Family
    tuned: Any
    """A diffusers transformer."""
    frozen: Any | None
    """Its untouched copy; None for LoRA, and where nothing compares with the start."""
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
    is_swapped: bool = False
    """Whether the frozen weights of its blocks wait in main memory, see `families.swap`."""
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
    def is_adapter(self) -> bool:
        """Whether a low-rank adapter is trained."""
        return bool(getattr(self.tuned, "peft_config", None))

    def start_weights(self) -> Mapping[str, Tensor]:
        """The weights that training starts from, float32, under the base's own names; not to be changed."""
        return self.family.master_weights() if self.origin is None else self.origin

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
        is_kept = self.is_adapter or self.begun is not None
        assert is_kept, "no copy of the start was kept: nothing was said to compare with it"
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
    keeps_start: bool = True,
) -> Network:
    """The network to train. Until step 1 it equals the base, or the previous round's weights (`start`).

    Args:
        family: the loaded base; its own transformer is left untouched.
        lora: None for full fine-tuning.
        start: full initial weights; None for the base's.
        autocast: compute in bfloat16 with float32 weights, where the device has instructions for that.
        conditions: the transformer's inputs besides latents, timestep and text.
        keeps_base: hold a copy of the base as well, where the network starts from other weights.
        keeps_start: hold a frozen copy of the start, in full tuning; False where no term of the loss compares with it.

    Raises:
        TrainingError: an adapter is requested and the transformer has none of the layers that it changes.
    """
    import copy

    autocast = autocast and computes_bfloat16(family.device)
    continues = lora is not None and lora.continues and start is None
    in_float8 = is_in_float8(family.transformer)
    tuned = family.master() if lora is None else family.frozen_copy(is_changed=start is not None or continues)
    base = frozen = None
    if start is not None:
        base = family.frozen_copy(is_changed=True).requires_grad_(False).eval() if keeps_base else None
        tuned.load_state_dict(start)
    if lora is None:
        frozen = copy.deepcopy(tuned).requires_grad_(False).eval() if keeps_start else None
        tuned.requires_grad_(True)
    else:
        tuned.requires_grad_(False)
        add_adapter(tuned, lora, lora.targets or family.lora_targets, autocast=autocast)
    unfolded = frozenset[str]()
    if lora is not None and continues:
        unfolded = continue_adapter(tuned, family.start_adapter, lora, family.master_weights())
    for model in (tuned if lora is not None else frozen, base):
        if autocast and model is not None:
            round_frozen(model)
        if model is not None and model is not frozen:
            hold_for_backward(model)
        if in_float8 and model is not None and model is not frozen:
            store_in_float8(model)
    return Network(family, tuned.train(), frozen, start, autocast, conditions, base=base, unfolded=unfolded)


def _change_places(pairs: Sequence[tuple[Tensor, Tensor]]) -> None:
    for one, other in pairs:
        held = one.detach().clone()
        one.copy_(other)
        other.copy_(held)


@torch.no_grad()
def merged_weights(network: Network, average: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tuned model's weights under the base's own names, with averaged parameters and merged adapters.

    They are in main memory and in float32, and the network is left as it is: at no time is there a second one.
    """
    from peft.tuners.lora import LoraLayer

    tuned = network.tuned
    adapted = {name: module for name, module in tuned.named_modules() if isinstance(module, LoraLayer)}
    start = network.start_weights() if network.is_adapter else {}
    plain: dict[str, Tensor] = {}
    for name, value in tuned.state_dict().items():
        if ".lora_" in name:
            continue
        own = name.replace(".base_layer.", ".")
        owner, _, part = name.rpartition(".base_layer.")
        if not network.is_adapter:
            found = average.get(name, value)
        elif part == "weight" and owner in adapted:
            weight = start[own]
            if owner in network.unfolded:
                weight = weight.float() - network.family.start_adapter[owner].delta.to(weight.device)
            found = _merged(adapted[owner], weight, _of(average, f"{owner}."))
        else:
            found = start[own]
        plain[own] = found.detach().to("cpu", copy=True).contiguous()
    return plain


def _of(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _merged(layer: Any, weight: Tensor, average: Mapping[str, Tensor]) -> Tensor:
    """The weight of an adapted layer in float32, with its averaged adapter merged; the layer is left as it is."""
    import copy

    # The base's own weight takes the place of the one that is stored in fewer bits, which may have hooks.
    out_features, in_features = weight.shape
    plain = torch.nn.Linear(in_features, out_features, bias=False, device="meta")
    plain.weight = torch.nn.Parameter(weight.to("cpu", torch.float32, copy=True), requires_grad=False)
    merged = copy.deepcopy(layer, {id(layer.base_layer): plain}).to("cpu")
    for name, value in merged.named_parameters():
        if name in average:
            value.copy_(average[name])
    merged.merge()
    found: Tensor = merged.base_layer.weight
    return found
