"""VGG19 up to the layers that Diversity uses, without torchvision; weights from a safetensors file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from rushes.errors import InputError

if TYPE_CHECKING:
    import torch

    from rushes.roles import Frames

STYLE: Final = (0, 5, 10, 19, 28)
"""Indices of the style layers in torchvision's numbering: conv1_1, conv2_1, conv3_1, conv4_1, conv5_1."""
CONTENT: Final = 30
"""Index of the content layer: conv5_2."""
_WIDTHS: Final = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512)
_MEAN: Final = (0.485, 0.456, 0.406)
_STD: Final = (0.229, 0.224, 0.225)
GET_IT: Final = (
    "hf download timm/vgg19.tv_in1k model.safetensors --local-dir vgg19, then "
    "--set measure.measurer.options.vgg19=vgg19/model.safetensors"
)


class Vgg19:
    """The convolutions of VGG19 up to conv5_2, read before rectification (Simonyan and Zisserman 2014).

    Args:
        weights: safetensors file with torchvision's names (`features.0.weight`, ...).
        device: "cpu", "cuda", ...

    Raises:
        InputError: the file is missing or contains other weights.
    """

    def __init__(self, weights: str | Path, device: str = "cpu") -> None:
        import torch
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            found = load_file(str(weights), device=device)
        except (OSError, SafetensorError) as error:
            problem = f"the VGG19 weights cannot be read: {error}"
            raise InputError(problem, got=str(weights), next_step=GET_IT) from error
        self._device = device
        self._layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        channels, place = 3, 0
        for width in _WIDTHS:
            if width == 0:
                place += 1
                continue
            weight, bias = (found.get(f"features.{place}.{name}") for name in ("weight", "bias"))
            if weight is None or bias is None or tuple(weight.shape) != (width, channels, 3, 3):
                raise InputError(
                    f"the file is not a VGG19: features.{place} is missing or has another shape",
                    got=str(weights),
                    next_step=GET_IT,
                )
            self._layers[place] = (weight.float(), bias.float())
            channels, place = width, place + 2
        self._mean = torch.tensor(_MEAN, device=device)[:, None, None]
        self._std = torch.tensor(_STD, device=device)[:, None, None]

    def layers(self, frames_BHWC: Frames) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        """See `rushes_vbench.metrics.models.FeatureNet`."""
        import torch
        from torch.nn import functional as F

        x = torch.from_numpy(frames_BHWC).to(self._device).permute(0, 3, 1, 2).float() / 255.0
        x = (x - self._mean) / self._std
        style: list[torch.Tensor] = []
        for place in range(CONTENT + 1):
            if place in self._layers:
                x = F.conv2d(x, *self._layers[place], padding=1)
                if place in STYLE:
                    style.append(x)
            elif place - 1 in self._layers:
                x = F.relu(x)
            else:
                x = F.max_pool2d(x, 2)
        return tuple(style), x
