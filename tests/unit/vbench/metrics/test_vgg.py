"""VGG19 without torchvision, against torch's own modules in torchvision's order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from rushes.errors import InputError
from rushes_vbench.metrics.vgg import CONTENT, STYLE, Vgg19

CONFIG: list[int | str] = [
    64,
    64,
    "M",
    128,
    128,
    "M",
    256,
    256,
    256,
    256,
    "M",
    512,
    512,
    512,
    512,
    "M",
    512,
    512,
    512,
    512,
    "M",
]


def plain() -> nn.Sequential:
    """The network as torchvision builds it."""
    layers: list[nn.Module] = []
    channels = 3
    for item in CONFIG:
        if isinstance(item, str):
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(channels, item, 3, padding=1), nn.ReLU(inplace=False)]
            channels = item
    return nn.Sequential(*layers).eval()


def test_layers_are_those_of_torchvision(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = plain()
    save_file({f"features.{name}": value for name, value in net.state_dict().items()}, tmp_path / "vgg.safetensors")
    frames = np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3), np.uint8)
    style, content = Vgg19(tmp_path / "vgg.safetensors").layers(frames)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = ((torch.from_numpy(frames).float() / 255 - mean) / std).permute(0, 3, 1, 2)
    expected = {}
    with torch.no_grad():
        for place in range(CONTENT + 1):
            x = net[place](x)
            expected[place] = x
    for found, place in zip((*style, content), (*STYLE, CONTENT), strict=True):
        assert torch.allclose(found, expected[place], atol=1e-5)
        assert (found < 0).any(), "read before rectification"


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        Vgg19(tmp_path / "absent.safetensors")
    (tmp_path / "text.safetensors").write_text("not weights")
    with pytest.raises(InputError, match="cannot be read"):
        Vgg19(tmp_path / "text.safetensors")
    save_file({"features.0.weight": torch.zeros(4, 3, 3, 3)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match=r"features\.0"):
        Vgg19(tmp_path / "other.safetensors")
