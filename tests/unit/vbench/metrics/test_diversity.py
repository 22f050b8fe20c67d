"""Diversity: streamed figures against the plain computation over all pairs, and clips that cannot be compared."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import nn

from rushes.records import Scored, Unscored
from rushes.roles import Video
from rushes_vbench.metrics import diversity as module
from rushes_vbench.metrics.core import Profile
from rushes_vbench.metrics.diversity import (
    diversity,
    diversity_value,
    gram,
    moments,
    pair_mean,
    relative_difference,
    shrunk,
    streamed_diversity,
)
from rushes_vbench.metrics.models import FeatureNet
from tests.support.vbench_clips import texture

Frames = np.typing.NDArray[np.uint8]


class TinyNet:
    """Six random convolutions in the place of VGG19."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self._layers = nn.ModuleList(nn.Conv2d(3 if i == 0 else 4, 4, 3, stride=2, padding=1) for i in range(6))

    def layers(self, frames_BHWC: Frames) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        x = torch.from_numpy(frames_BHWC).permute(0, 3, 1, 2).float() / 25.0
        found = []
        for layer in self._layers:
            x = layer(x)
            found.append(x)
        return tuple(found[:5]), found[5]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SIZE_PX", 64)


def clips(num: int, num_frames: int = 3, seed: int = 0) -> list[Video]:
    rng = np.random.default_rng(seed)
    return [Video(rng.integers(0, 255, (num_frames, 64, 64, 3), np.uint8), 8.0) for _ in range(num)]


def unstreamed(takes: list[Video], net: FeatureNet) -> float:
    """As the specification says it: all features of all clips, every pair by itself."""
    with torch.no_grad():
        seen = [net.layers(take.frames_THWC) for take in takes]
        contents, styles = [], []
        for (style_a, content_a), (style_b, content_b) in combinations(seen, 2):
            contents.append(float((content_a - content_b).abs().mean()))
            for a, b in zip(style_a, style_b, strict=True):
                flat = [layer.flatten(2) for layer in (a, b)]
                grams = [f @ f.transpose(1, 2) / layer[0].numel() for f, layer in zip(flat, (a, b), strict=True)]
                styles.append(float((grams[0] - grams[1]).abs().mean()))
    value = (np.mean(contents) + 1000 * np.mean(styles)) / 2 / 17.712
    return float(np.clip(value, 0, 1))


def test_streamed_equals_unstreamed() -> None:
    takes, net = clips(20), TinyNet()
    found = diversity(takes, "compat", net)
    expected = unstreamed(takes, net)
    assert 0.0 < expected < 1.0
    assert isinstance(found, Scored) and found.value == pytest.approx(expected, rel=1e-5)
    content, style = (part.value for part in found.parts)
    assert content > 0 and style > 0 and content + style == pytest.approx(expected, rel=1e-5)


def test_pair_mean_against_every_pair() -> None:
    x = torch.from_numpy(np.random.default_rng(1).standard_normal((7, 3, 5)))
    every = [float((a - b).abs().mean()) for a, b in combinations(x, 2)]
    assert pair_mean(x) == pytest.approx(float(np.mean(every)), rel=1e-12)
    with pytest.raises(ValueError, match="at least 2"):
        pair_mean(x[:1])


def test_gram() -> None:
    x = torch.arange(2 * 2 * 3 * 4, dtype=torch.float64).reshape(2, 2, 3, 4)
    expected = sum(x[1, 0, i, j] * x[1, 1, i, j] for i in range(3) for j in range(4)) / 24
    assert gram(x)[1, 0, 1] == pytest.approx(float(expected))


def test_identical_clips_do_not_differ() -> None:
    one = clips(1)[0]
    for profile in ("compat", "fixed"):
        found = diversity([one] * 20, profile, TinyNet())
        assert isinstance(found, Scored) and found.value == pytest.approx(0.0, abs=1e-7)


def test_clamp() -> None:
    assert diversity_value(17.712, 0.0) == pytest.approx(0.5)
    assert diversity_value(0.0, 17.712 / 1000) == pytest.approx(0.5)
    assert diversity_value(1e9, 0.0) == 1.0


def test_what_cannot_be_compared() -> None:
    net = TinyNet()
    for takes, words in ((clips(4), "compares 20"), ([*clips(19), *clips(1, 5)], "3 to 5 frames")):
        found = diversity(takes, "compat", net)
        assert isinstance(found, Unscored) and words in found.reason
        assert isinstance(diversity(takes, "fixed", net), Scored)
    assert isinstance(diversity(clips(1), "fixed", net), Unscored)
    assert isinstance(diversity([], "fixed", net), Unscored)


def test_moments() -> None:
    assert moments([3] * 20, "compat") == [[t] * 20 for t in range(3)]
    fixed = moments([81, 17], "fixed")
    assert isinstance(fixed, list) and len(fixed) == 16 and fixed[0] == [0, 0] and fixed[-1] == [80, 16]


@pytest.mark.parametrize("profile", ["compat", "fixed"])
def test_shrunk_clips_have_the_same_value(profile: Profile) -> None:
    rng = np.random.default_rng(4)
    takes = [Video(rng.integers(0, 255, (20, 48, 80 + i, 3), np.uint8), 8.0) for i in range(20)]
    small = [shrunk(take, profile) for take in takes]
    assert {each.frames_THWC.shape for each in small} == {(20 if profile == "compat" else 16, 64, 64, 3)}
    whole, kept = diversity(takes, profile, TinyNet()), diversity(small, profile, TinyNet())
    assert isinstance(whole, Scored) and whole == kept


def test_clips_are_smoothed_before_they_are_shrunk() -> None:
    stripes = np.zeros((1, 256, 256, 3), np.uint8)
    stripes[:, :, ::4] = 255
    (frame,) = shrunk(Video(stripes, 8.0), "compat").frames_THWC
    assert frame.shape == (64, 64, 3)
    assert np.abs(frame[:, 2:-2].astype(float) - 255 / 4).max() < 6, "every fourth column is white: a dark grey"


class LocalNet:
    """Six random convolutions with rectification between them, whose last layer still has 16 x 16 places."""

    def __init__(self, unit: float = 1.0) -> None:
        torch.manual_seed(0)
        strides = (1, 2, 1, 2, 1, 1)
        self._layers = nn.ModuleList(
            nn.Conv2d(3 if i == 0 else 8, 8, 3, stride=stride, padding=1) for i, stride in enumerate(strides)
        )
        self._unit = unit

    def layers(self, frames_BHWC: Frames) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        x = torch.from_numpy(frames_BHWC).permute(0, 3, 1, 2).float() / 127.5 - 1.0
        found = []
        for layer in self._layers:
            found.append(layer(x if not found else found[-1].relu()))
        scaled = [self._unit * each for each in found]
        return tuple(scaled[:5]), scaled[5]


SCENE = texture(64, 64)
PLAIN = [np.stack([texture(64, 64, seed) for seed in range(6)])]
"""One moment of six clips of different scenes."""


def grainy() -> list[Frames]:
    rng = np.random.default_rng(0)
    return [np.clip(SCENE + rng.normal(0, 40, (6, *SCENE.shape)), 0, 255).astype(np.uint8)]


def shifted() -> list[Frames]:
    return [np.stack([np.roll(SCENE, (7 * i, 11 * i), (0, 1)) for i in range(6)])]


def delayed() -> list[Frames]:
    """The same motion round and round, each clip begun an eighth later."""
    return [np.stack([np.roll(SCENE, 8 * (i + t), 1) for i in range(6)]) for t in range(8)]


def content(moments_seen: list[Frames], profile: Profile) -> float:
    found = streamed_diversity(moments_seen, LocalNet(), profile)
    assert isinstance(found, Scored)
    return {part.name: part.value for part in found.parts}["content"]


@pytest.mark.parametrize("same_scene", [grainy, shifted, delayed])
def test_one_scene_with_grain_shift_or_delay_is_as_diverse_as_many_in_compat_only(
    same_scene: Callable[[], list[Frames]],
) -> None:
    assert content(same_scene(), "compat") > 0.4 * content(PLAIN, "compat")
    assert content(same_scene(), "fixed") < 0.2 * content(PLAIN, "fixed")


def test_the_scale_of_the_features_matters_in_compat_only() -> None:
    def value(unit: float, profile: Profile) -> float:
        found = streamed_diversity(PLAIN, LocalNet(unit), profile)
        assert isinstance(found, Scored)
        return found.value

    assert value(3.0, "compat") > 3.0 * value(1.0, "compat") > 0.0
    assert value(3.0, "fixed") == pytest.approx(value(1.0, "fixed"), rel=1e-4)


def test_relative_difference_against_every_pair() -> None:
    x = torch.from_numpy(np.random.default_rng(1).standard_normal((7, 3, 5)))
    pairs = list(combinations(x, 2))
    apart = sum(float((a - b).abs().sum()) for a, b in pairs)
    assert relative_difference(x) == pytest.approx(apart / sum(float((a.abs() + b.abs()).sum()) for a, b in pairs))
    assert relative_difference(torch.eye(4)) == pytest.approx(1.0), "clips with nothing in common"
    assert relative_difference(torch.zeros(3, 2)) == 0.0


def test_fixed_against_every_pair_of_whole_clips() -> None:
    rng, net = np.random.default_rng(2), LocalNet()
    seen = [rng.integers(0, 255, (4, 64, 64, 3), np.uint8) for _ in range(3)]
    found = streamed_diversity(seen, net, "fixed")
    with torch.no_grad():
        layers = [net.layers(np.stack([moment[i] for moment in seen])) for i in range(4)]
        fired = [each.clamp(min=0).mean(dim=(0, 2, 3)) for _, each in layers]
        grams = [[gram(layer).mean(dim=0) for layer in style] for style, _ in layers]

    def relative(items: list[torch.Tensor]) -> float:
        pairs = list(combinations(items, 2))
        size = sum(float((a.abs() + b.abs()).sum()) for a, b in pairs)
        return sum(float((a - b).abs().sum()) for a, b in pairs) / size

    style = np.mean([relative([clip[k] for clip in grams]) for k in range(5)])
    assert isinstance(found, Scored) and found.value == pytest.approx((relative(fired) + style) / 2, rel=1e-3)
    assert isinstance(streamed_diversity([], net, "fixed"), Unscored)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_features_that_are_not_finite_give_no_value(bad: float) -> None:
    x = torch.ones(3, 4)
    x[1, 2] = bad
    with pytest.raises(ValueError, match="finite features"):
        relative_difference(x)
