"""Which parameters move: the whole transformer, or a low-rank adapter on it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rushes.families.wan import LORA_TARGETS
from rushes.specs import LoraSpec

if TYPE_CHECKING:
    from diffusers import WanTransformer3DModel

    from rushes.families.wan import Wan


@dataclass(frozen=True, eq=False)
class Network:
    """The network in training, and its frozen base: a copy for full fine-tuning, the adapter switched off for LoRA."""

    tuned: WanTransformer3DModel
    frozen: WanTransformer3DModel | None
    autocast: bool

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """What is trained, by name."""
        return {name: value for name, value in self.tuned.named_parameters() if value.requires_grad}

    def velocity(self, z_t: Tensor, sigma_B: Tensor, text_BLD: Tensor) -> Tensor:
        """The tuned model's velocity; timesteps enter as float sigma * 1000."""
        return self._run(self.tuned, z_t, sigma_B, text_BLD)

    def reference(self, z_t: Tensor, sigma_B: Tensor, text_BLD: Tensor) -> Tensor:
        """The frozen base's velocity."""
        if self.frozen is not None:
            return self._run(self.frozen, z_t, sigma_B, text_BLD)
        with self._without_adapter():
            return self._run(self.tuned, z_t, sigma_B, text_BLD)

    def _run(self, model: WanTransformer3DModel, z_t: Tensor, sigma_B: Tensor, text_BLD: Tensor) -> Tensor:
        with torch.autocast(z_t.device.type, torch.bfloat16, enabled=self.autocast):
            velocity: Tensor = model(z_t, sigma_B * 1000.0, text_BLD, return_dict=False)[0]
        return velocity

    @contextlib.contextmanager
    def _without_adapter(self) -> Iterator[None]:
        self.tuned.disable_adapters()
        try:
            yield
        finally:
            self.tuned.enable_adapters()


def make_network(wan: Wan, lora: LoraSpec | None, start: dict[str, Tensor] | None, *, autocast: bool) -> Network:
    """The network to train, equal to the base (with `start` loaded, where a round before made one) until step 1.

    Args:
        wan: the loaded base; its own transformer is left untouched.
        lora: None for full fine-tuning.
        start: full weights to begin from; None for the base's.
        autocast: compute in bfloat16 over float32 weights.
    """
    import copy

    tuned = copy.deepcopy(wan.transformer)
    if start is not None:
        tuned.load_state_dict(start)
    frozen = None
    if lora is None:
        frozen = copy.deepcopy(tuned).requires_grad_(False).eval()
        tuned.requires_grad_(True)
    else:
        from peft import LoraConfig

        tuned.requires_grad_(False)
        generator_state = torch.get_rng_state()
        torch.manual_seed(0)
        tuned.add_adapter(LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=list(LORA_TARGETS)))
        torch.set_rng_state(generator_state)
    return Network(tuned.train(), frozen, autocast)


def merged_weights(network: Network, average: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tuned model's weights under the base's own names, with the averaged parameters in, adapters merged."""
    import copy

    model = copy.deepcopy(network.tuned)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name in average:
                value.copy_(average[name])
    if network.frozen is None:
        from peft.tuners.lora import LoraLayer

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
