"""The judge's network: words attend to places in every frame, and what they find there is read over time.

A convolutional encoder turns the clip into one grid of features per frame, once for all questions. Each question then
looks at that grid several times in every frame (a softmax over its cells and one extra place that means "nowhere").
A small transformer reads the sequence of what each look found: its position, its spread and its features.

What a question asks about a motion is mostly a linear function of positions: `right in the first half` is x in the
middle minus x at the start. So each question also computes its own linear functions ("gauges") of all positions and of
a few numbers read from each look and each frame, and the answer depends on their values.

Legend: B clips, Q questions per clip, L words, T frames in use, C channels, G grid cells along one side,
N = G * G + 1 places to look at, M looks, D width.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rushes_sandbox.scene import COLOURS, NUM_FRAMES, SHAPES, SIZE_PX
from rushes_sandbox.vqa.language import MAX_WORDS, PAD

GRID = 8
"""Cells of the grid along one side."""
CAMERA_UNITS = (1.25, 0.03)
"""Pixels panned and log zoom per frame that count as 1: the amounts of the world's own cameras."""


@dataclass(frozen=True)
class JudgeConfig:
    """Sizes of the network; written to `config.json`."""

    num_words: int
    """Entries of the word table, the padding included."""
    stem: int = 48
    """Channels at a quarter of the resolution."""
    width: int = 96
    """Channels of the grid."""
    num_blocks: int = 2
    """Residual blocks on the grid."""
    word_width: int = 96
    word_layers: int = 2
    num_looks: int = 4
    """Looks per frame; the first two are trained to find the subject and the other thing."""
    num_readings: int = 4
    """Numbers computed from what each look found, and as many from each whole frame."""
    num_gauges: int = 16
    """Linear functions of all positions and numbers, over all frames, that each question computes."""
    look_width: int = 32
    """Channels of what one look finds, and of the keys it compares."""
    time_width: int = 128
    time_layers: int = 2
    stride: int = 2
    """Every how many frames it looks."""

    def to_json(self) -> dict[str, int]:
        """Plain values."""
        return asdict(self)


class GridBlock(nn.Module):
    """Residual block: a 3x3 convolution in space, then a mixing of neighbouring frames."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.space = nn.Conv2d(width, width, 3, padding=1)
        self.time_norm = nn.LayerNorm(width)
        self.time = nn.Linear(3 * width, width)

    def forward(self, x_BTGGC: Tensor) -> Tensor:
        x = x_BTGGC + _in_space(self.space, F.relu(self.norm(x_BTGGC)))
        y = F.relu(self.time_norm(x))
        before, after = torch.cat([y[:, :1], y[:, :-1]], 1), torch.cat([y[:, 1:], y[:, -1:]], 1)
        out: Tensor = x + self.time(torch.cat([before, y, after], -1))
        return out


def _in_space(layer: nn.Module, x_BTHWC: Tensor) -> Tensor:
    """A 2D convolution on every frame of a clip with channels last, which is how the CPU runs it fastest."""
    y: Tensor = layer(x_BTHWC.flatten(0, 1).permute(0, 3, 1, 2))
    frames: Tensor = y.permute(0, 2, 3, 1).unflatten(0, x_BTHWC.shape[:2])
    return frames


class VideoEncoder(nn.Module):
    """Clips (B, 17, 64, 64, 3) in [0, 255] to features (B, T, G * G, C)."""

    def __init__(self, config: JudgeConfig) -> None:
        super().__init__()
        self.stride = config.stride
        self.patch = nn.Conv2d(9, config.stem, 4, stride=4)
        self.stem = nn.Conv2d(config.stem, config.stem, 3, padding=1)
        self.down = nn.Conv2d(config.stem, config.width, 3, stride=2, padding=1)
        self.place = nn.Parameter(0.02 * torch.randn(GRID, GRID, config.width))
        self.blocks = nn.ModuleList(GridBlock(config.width) for _ in range(config.num_blocks))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, frames_BTHWC: Tensor) -> Tensor:
        here = frames_BTHWC[:, :: self.stride].float().div(127.5).sub(1.0)
        step = here[:, 1:] - here[:, :-1]
        none = torch.zeros_like(here[:, :1])
        back, forth = torch.cat([none, step], 1), torch.cat([step, none], 1)
        x = F.relu(_in_space(self.patch, torch.cat([here, 4 * back, 4 * forth], -1)))
        x = x + F.relu(_in_space(self.stem, x))
        x = _in_space(self.down, x) + self.place
        for block in self.blocks:
            x = block(x)
        features: Tensor = self.norm(x)
        return features.flatten(2, 3)


class Layer(nn.Module):
    """A pre-norm transformer layer; `empty` marks positions that nothing attends to."""

    def __init__(self, width: int, num_heads: int = 4) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.ffn = nn.Sequential(nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width))

    def forward(self, x_NLD: Tensor, empty_NL: Tensor | None = None) -> Tensor:
        q, k, v = self.qkv(self.norm_1(x_NLD)).unflatten(-1, (3, self.num_heads, -1)).unbind(2)
        scores = torch.einsum("nqhd,nkhd->nhqk", q, k) * q.shape[-1] ** -0.5
        if empty_NL is not None:
            scores = scores.masked_fill(empty_NL[:, None, None], -1e4)
        found = torch.einsum("nhqk,nkhd->nqhd", scores.softmax(-1), v)
        x = x_NLD + self.out(found.flatten(2))
        out: Tensor = x + self.ffn(self.norm_2(x))
        return out


class QuestionEncoder(nn.Module):
    """Word ids (N, L) to one vector (N, D) and the looks' queries (N, M, K)."""

    def __init__(self, config: JudgeConfig) -> None:
        super().__init__()
        self.words = nn.Embedding(config.num_words, config.word_width)
        self.order = nn.Parameter(0.02 * torch.randn(MAX_WORDS, config.word_width))
        self.layers = nn.ModuleList(Layer(config.word_width) for _ in range(config.word_layers))
        self.norm = nn.LayerNorm(config.word_width)
        self.asks = nn.Parameter(config.word_width**-0.5 * torch.randn(config.num_looks + 1, config.word_width))
        self.query = nn.Linear(config.word_width, config.look_width)
        self.summary = nn.Linear(2 * config.word_width, config.time_width)
        nn.init.normal_(self.words.weight, std=0.5)

    def forward(self, words_NL: Tensor) -> tuple[Tensor, Tensor]:
        empty = words_NL == PAD
        x = self.words(words_NL) + self.order
        for layer in self.layers:
            x = layer(x, empty)
        x = self.norm(x)
        weights = (x @ self.asks.T).masked_fill(empty[..., None], -1e4).softmax(1)
        pooled = weights.transpose(1, 2) @ x
        mean = x.masked_fill(empty[..., None], 0).sum(1) / (~empty).sum(1, keepdim=True)
        return self.summary(torch.cat([pooled[:, -1], mean], -1)), self.query(pooled[:, :-1])


class Facts(NamedTuple):
    """What the network reads from the clip before any question; trained, but not part of an answer."""

    cells_BTNC: Tensor
    """Logits of each cell's colour, of its shape, and of holding no thing's middle; and the log radius there."""
    camera_BT2: Tensor
    """How the camera pans and zooms per frame, in units of `CAMERA_UNITS`."""


class Judged(NamedTuple):
    """The output of the network."""

    logit_BQ: Tensor
    """Of yes."""
    looks_BQMTN: Tensor
    """Logarithm of the share of each look that fell on each place."""
    facts: Facts


class JudgeNet(nn.Module):
    """The whole network."""

    places_N3: Tensor

    def __init__(self, config: JudgeConfig) -> None:
        super().__init__()
        self.config = config
        self.video = VideoEncoder(config)
        self.question = QuestionEncoder(config)
        self.key = nn.Linear(config.width, config.look_width)
        self.value = nn.Linear(config.width, config.look_width)
        self.nowhere = nn.Parameter(torch.zeros(config.look_width))
        side = (torch.arange(GRID) + 0.5) / GRID * 2 - 1
        y, x = torch.meshgrid(side, side, indexing="ij")
        places = torch.stack([x, y, torch.ones_like(x)], -1).flatten(0, 1)
        self.register_buffer("places_N3", torch.cat([places, torch.zeros(1, 3)]), persistent=False)
        self.flow = nn.Linear(config.width, 6)
        self.frame_readings = nn.Linear(6 * GRID * GRID, config.num_readings)
        self.look_readings = nn.Linear(config.look_width, config.num_readings)
        num_read = config.num_looks * (5 + config.num_readings) + config.num_readings
        self.read = nn.Linear(config.num_looks * config.look_width + num_read, config.time_width)
        num_steps = -(-NUM_FRAMES // config.stride)
        self.moment = nn.Parameter(0.02 * torch.randn(num_steps + 1, config.time_width))
        self.layers = nn.ModuleList(Layer(config.time_width) for _ in range(config.time_layers))
        self.gate = nn.Linear(config.time_width, config.time_width)
        self.gauges = nn.Linear(config.time_width, config.num_gauges * num_steps * num_read)
        self.norm = nn.LayerNorm(config.time_width)
        self.answer = nn.Sequential(
            nn.Linear(2 * config.time_width + config.num_gauges, config.time_width),
            nn.GELU(),
            nn.Linear(config.time_width, 1),
        )
        self.cells = nn.Linear(config.width, len(COLOURS) + len(SHAPES) + 2)

    def forward(self, frames_BTHWC: Tensor, words_BQL: Tensor) -> Judged:
        """Answer all questions about each clip.

        Args:
            frames_BTHWC: uint8 pixels (B, 17, 64, 64, 3).
            words_BQL: word ids, PAD after the last word.
        """
        num_clips, num_questions = words_BQL.shape[:2]
        features = self.video(frames_BTHWC)
        summary, queries = self.question(words_BQL.flatten(0, 1))
        queries = queries.unflatten(0, (num_clips, num_questions))
        key, value = self.key(features), self.value(features)
        scale = self.config.look_width**-0.5
        scores = torch.einsum("bqmk,btnk->bqmtn", queries, key) * scale
        nowhere = (queries @ self.nowhere * scale)[..., None, None].expand(*scores.shape[:-1], 1)
        looks = torch.cat([scores, nowhere], -1).float().log_softmax(-1)
        share = looks.exp()
        found = torch.einsum("bqmtn,btnk->bqmtk", share[..., :-1].to(value.dtype), value)
        frame_BTR = self.frame_readings(F.relu(self.flow(features)).flatten(2)).float()
        read_BQTR = self._readings(share, found, frame_BTR)
        seen = torch.cat([found.permute(0, 1, 3, 2, 4).flatten(3).float(), read_BQTR], -1)
        gauges = self.gauges(summary).unflatten(-1, (self.config.num_gauges, -1)).float()
        with torch.autocast(read_BQTR.device.type, enabled=False):
            measured = (gauges @ read_BQTR.flatten(0, 1).flatten(1)[..., None])[..., 0]
        x = self.read(seen).flatten(0, 1) * (1 + self.gate(summary))[:, None] + summary[:, None]
        x = torch.cat([summary[:, None], x], 1) + self.moment
        for layer in self.layers:
            x = layer(x)
        logit = self.answer(torch.cat([self.norm(x[:, 0]), summary, measured], -1))
        facts = Facts(self.cells(features).float(), frame_BTR[..., :2])
        return Judged(logit.float().view(num_clips, num_questions), looks, facts)

    def _readings(self, share_BQMTN: Tensor, found_BQMTK: Tensor, frame_BTR: Tensor) -> Tensor:
        """Numbers per question and frame (B, Q, T, R): each look's mean position, share there, spread and readings.

        The spread of a look over several things of the same look shows how many there are.
        """
        with torch.autocast(share_BQMTN.device.type, enabled=False):
            mean = share_BQMTN @ self.places_N3
            away = self.places_N3[:-1, :2] - (mean[..., :2] / (mean[..., 2:] + 1e-3))[..., None, :]
            spread = (share_BQMTN[..., :-1, None] * away.square()).sum(-2)
        looked = torch.cat([mean, 4 * spread, self.look_readings(found_BQMTK).float()], -1)
        frame = frame_BTR[:, None].expand(-1, share_BQMTN.shape[1], -1, -1)
        return torch.cat([looked.permute(0, 1, 3, 2, 4).flatten(3), frame], -1)


def frame_size() -> tuple[int, int, int, int]:
    """Shape (T, H, W, 3) of the clips that the network reads."""
    return NUM_FRAMES, SIZE_PX, SIZE_PX, 3
