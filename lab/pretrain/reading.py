"""Pre-train the sandbox's text encoder on captions alone, before the video model learns; from then on it is frozen.

Video models use a language model that can already read. An encoder that has to learn to read from the denoising loss
learns which words occur, but not how they relate: "right, then up" and "up, then right" get the same states, and so do
"a red circle and a blue square" and "a blue circle and a red square". So the encoder is trained to answer what a
caption says, which takes minutes. The head that reads the answers is discarded afterwards.

Legend: B batch, L tokens, D text width, F facts, V values of a fact.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from transformers import UMT5Config, UMT5EncoderModel

from lab.pretrain.state import load_state, save_state
from rushes_sandbox.captions import Captioner, scraped_caption
from rushes_sandbox.grammar import DIMENSIONS, draw_scene
from rushes_sandbox.scene import BACKGROUNDS, CAMERAS, COLOURS, DIRECTIONS, RELATIONS, SHAPES, Scene
from rushes_sandbox.text import make_tokenizer, tokenize

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import PreTrainedTokenizerFast

TEXT_WIDTH = 96
SAVED_EVERY = 500
"""Steps between two checkpoints."""
NOTHING = "nothing"
_SIZES = ("small", "medium", "big")
_DEEDS = ("left", "right", "up", "down", "grow", "shrink", "turn", "rise", "orbit", "push", "stop", "land", "bounce")
FACTS: dict[str, tuple[str, ...]] = {
    **{f"shape of what is {colour}": (NOTHING, *SHAPES) for colour in COLOURS},
    "number": ("1", "2", "3"),
    "dimension": DIMENSIONS,
    "colour of the first": COLOURS,
    "size of the first": _SIZES,
    "first deed": (NOTHING, *_DEEDS),
    "then": (NOTHING, *_DEEDS),
    "new colour": (NOTHING, *COLOURS),
    "direction": (NOTHING, *DIRECTIONS),
    "first relation": (NOTHING, *RELATIONS),
    "last relation": (NOTHING, *RELATIONS),
    "camera": CAMERAS,
    "background": BACKGROUNDS,
}
"""The questions about a caption, and their possible answers."""


@dataclass(frozen=True)
class ReadingSpec:
    """How the text encoder is pre-trained."""

    num_steps: int = 2_000
    batch_size: int = 128
    learning_rate: float = 1e-3
    captioner: Captioner = field(default_factory=lambda: Captioner(wrong={}))
    """As vague as scraped captions, but never wrong."""
    seed: int = 3


def make_text_encoder(vocabulary_size: int) -> UMT5EncoderModel:
    """An untrained encoder."""
    return UMT5EncoderModel(
        UMT5Config(
            vocab_size=vocabulary_size,
            d_model=TEXT_WIDTH,
            d_kv=24,
            d_ff=256,
            num_layers=2,
            num_heads=4,
            dropout_rate=0.0,
            pad_token_id=0,
            eos_token_id=1,
        )
    )


def said(scene: Scene) -> dict[str, str]:
    """The scene's answer to each of `FACTS`."""
    own = [action for action in scene.actions if action.thing == 0]
    deeds = [("land", "bounce")[action.amount > 0] if action.verb == "fall" else action.verb for action in own]
    first, last = scene.relations or (NOTHING, NOTHING)
    return {f"shape of what is {colour}": NOTHING for colour in COLOURS} | {
        **{f"shape of what is {thing.colour}": thing.shape for thing in scene.things},
        "number": str(len(scene.things)),
        "dimension": scene.dimension,
        "colour of the first": scene.things[0].colour,
        "size of the first": scene.things[0].size,
        "first deed": deeds[0] if deeds else NOTHING,
        "then": deeds[1] if len(deeds) > 1 else NOTHING,
        "new colour": (own[0].colour if own else None) or NOTHING,
        "direction": (own[0].direction if own else None) or NOTHING,
        "first relation": first,
        "last relation": last,
        "camera": scene.camera,
        "background": scene.background,
    }


class Reader(nn.Module):
    """The encoder, and for each fact one query that attends to its states."""

    def __init__(self, encoder: UMT5EncoderModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.query_FD = nn.Parameter(torch.randn(len(FACTS), TEXT_WIDTH))
        self.attention = nn.MultiheadAttention(TEXT_WIDTH, 4, batch_first=True)
        self.hidden = nn.Sequential(
            nn.LayerNorm(TEXT_WIDTH),
            nn.Linear(TEXT_WIDTH, 2 * TEXT_WIDTH),
            nn.SiLU(),
            nn.Linear(2 * TEXT_WIDTH, TEXT_WIDTH),
        )
        self.out = nn.ModuleList(nn.Linear(TEXT_WIDTH, len(values)) for values in FACTS.values())

    def forward(self, ids_BL: Tensor, mask_BL: Tensor) -> list[Tensor]:
        """Logits (B, V) of each fact."""
        states_BLD = self.encoder(ids_BL, mask_BL).last_hidden_state
        queries_BFD = self.query_FD.expand(len(ids_BL), -1, -1)
        seen_BFD, _ = self.attention(queries_BFD, states_BLD, states_BLD, key_padding_mask=mask_BL == 0)
        seen_BFD = seen_BFD + self.hidden(seen_BFD)
        return [out(seen_BFD[:, fact]) for fact, out in enumerate(self.out)]


def train_text_encoder(
    folder: Path, spec: ReadingSpec, say: Callable[[str], None] = print, device: str = "cpu"
) -> UMT5EncoderModel:
    """Train, or resume training, the text encoder in `folder`; returns it frozen.

    Args:
        folder: where its state is kept, in `reading.safetensors`.
        spec: training settings.
        say: receives the progress, one line at a time.
        device: where it computes; captions are drawn on the CPU, and the returned encoder is on the CPU.
    """
    torch.manual_seed(spec.seed)
    tokenizer = make_tokenizer()
    reader = Reader(make_text_encoder(len(tokenizer))).to(device)
    optimizer = torch.optim.AdamW(reader.parameters(), lr=spec.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    file = folder / "reading.safetensors"
    step = int(load_state(file, reader, [optimizer]).get("step", 0))
    began = time.monotonic()
    while step < spec.num_steps:
        for group in optimizer.param_groups:
            group["lr"] = spec.learning_rate * min((step + 1) / 100, 1 - step / spec.num_steps)
        ids_BL, mask_BL, facts_BF = (each.to(device) for each in draw_captions(tokenizer, spec, step))
        loss = torch.stack(
            [nn.functional.cross_entropy(logits, facts_BF[:, k]) for k, logits in enumerate(reader(ids_BL, mask_BL))]
        ).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        step += 1
        if step % 100 == 0:
            seconds = time.monotonic() - began
            say(f"reading step {step}/{spec.num_steps} loss {float(loss.detach()):.3f} {seconds:.0f} s")
        if step % SAVED_EVERY == 0 or step == spec.num_steps:
            save_state(file, reader, [optimizer], {"step": step})
    return reader.encoder.eval().requires_grad_(False).cpu()


def draw_captions(tokenizer: PreTrainedTokenizerFast, spec: ReadingSpec, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """The batch of one step: token ids and mask (B, L), and the index of each answer among its fact's values (B, F)."""
    rng = np.random.default_rng((spec.seed, step))
    scenes = [draw_scene(rng) for _ in range(spec.batch_size)]
    texts = [scraped_caption(scene, rng, spec.captioner) for scene in scenes]
    facts = [[FACTS[fact].index(value) for fact, value in said(scene).items()] for scene in scenes]
    return *tokenize(tokenizer, texts), torch.tensor(facts)
