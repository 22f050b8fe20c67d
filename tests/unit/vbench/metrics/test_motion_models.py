"""RAFT by the interface of torchvision: what it is given, what it gives, and how its weights come."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from rushes.errors import UserError
from rushes.roles import Runtime
from rushes_vbench.metrics.build import build_models
from rushes_vbench.metrics.core import Profile
from rushes_vbench.metrics.measurer import VBenchMeasurerSpec
from rushes_vbench.metrics.motion_models import Raft
from rushes_vbench.metrics.multi_view import flow_strength


class Net(torch.nn.Module):
    """`raft_large`: pictures of sizes that 8 divides, colours from -1 to 1; one flow per update, the last one best."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[torch.Tensor] = []

    def forward(self, image1: torch.Tensor, image2: torch.Tensor, num_flow_updates: int = 12) -> list[torch.Tensor]:
        height, width = image1.shape[2:]
        assert image1.shape == image2.shape and height % 8 == 0 and width % 8 == 0
        self.seen += [image1, image2]
        place = torch.stack(torch.meshgrid(torch.arange(width), torch.arange(height), indexing="xy")).float()
        return [self.factor * place[None] * (i + 1) / num_flow_updates for i in range(num_flow_updates)]


class Weights:
    """A member of `Raft_Large_Weights`."""

    url = "https://example.org/models/raft_large_C_T_V1-22a6c225.pth"

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error
        self.asked: dict[str, Any] = {}

    def get_state_dict(self, *args: Any, **kwargs: Any) -> dict[str, torch.Tensor]:
        self.asked = kwargs
        if self._error is not None:
            raise self._error
        return {"factor": torch.tensor(2.0)}


def stand_in(monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> tuple[Net, Weights]:
    """torchvision.models.optical_flow as far as it is used."""
    net, weights = Net(), Weights(error)
    module = ModuleType("torchvision.models.optical_flow")
    module.raft_large = lambda *, weights=None, progress=True: net  # type: ignore[attr-defined]
    module.Raft_Large_Weights = SimpleNamespace(C_T_V1=weights)  # type: ignore[attr-defined]
    for name in ("torchvision", "torchvision.models"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return net, weights


def test_the_last_of_twenty_flows_of_the_padded_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    net, weights = stand_in(monkeypatch)
    first = np.random.default_rng(0).integers(0, 255, (130, 139, 3), np.uint8)
    flow = Raft("cpu").pair(first, np.full_like(first, 255))
    assert weights.asked == {"progress": False, "check_hash": True, "weights_only": True}
    assert flow.shape == (130, 139, 2) and flow.dtype == np.float32
    # 5 columns are added, 2 of them left, and 6 rows, 3 of them above.
    rows, columns = np.mgrid[0:130, 0:139]
    assert np.allclose(flow, 2.0 * np.stack([columns + 2, rows + 3], axis=-1))
    a, b = net.seen
    assert a.shape == (1, 3, 136, 144) and torch.equal(b, torch.ones_like(b))
    inside = a[0, :, 3:133, 2:141].permute(1, 2, 0).numpy()
    assert np.allclose(inside, first / 127.5 - 1.0, atol=1e-6)
    assert torch.equal(a[..., 0, :], a[..., 3, :]) and torch.equal(a[..., -1], a[..., -4]), "the border is repeated"


@pytest.mark.parametrize(("profile", "columns"), [("compat", 136), ("fixed", 134)])
def test_the_official_flow_counts_the_padded_border(
    monkeypatch: pytest.MonkeyPatch, profile: Profile, columns: int
) -> None:
    stand_in(monkeypatch)
    flow = build_models(VBenchMeasurerSpec(profile=profile, flow="raft"), Runtime()).flow
    assert flow is not None
    picture = np.zeros((128, 134, 3), np.uint8)
    found = flow.pair(picture, picture)
    assert found.shape == (128, columns, 2)
    # The stand-in's flow grows to the right: the border's columns are the fastest on that side.
    right = np.array([columns - 1 if profile == "compat" else columns, 127.0])
    assert np.allclose(found[-1, -1], 2.0 * right)
    lengths = np.sort(np.hypot(found[..., 0], found[..., 1]).ravel())[::-1]
    assert flow_strength(found) == pytest.approx(float(lengths[: int(128 * columns * 0.05)].mean()), rel=1e-5)


def test_weights_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, OSError("no network"))
    with pytest.raises(UserError, match="no network") as caught:
        Raft("cpu")
    assert Weights.url in str(caught.value) and "dis" in str(caught.value)


def test_without_torchvision_the_error_says_where_it_may_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(UserError) as caught:
        Raft("cpu")
    said = str(caught.value)
    assert "pip install torch==2.13.0 torchvision==0.28.0" in said
    assert "constraints.txt leaves it out" in said and "without -c constraints.txt" in said
