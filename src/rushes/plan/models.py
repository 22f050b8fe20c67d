"""The released models that recipes name: their sizes, and the arithmetic of one transformer call. No weights needed.

N video tokens, L text tokens, w width, f width inside the feed-forward layers; an a x b matrix times one of b x c is
2 a b c FLOPs. A test holds every number to the real classes, built from their configs without memory ("meta").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from rushes.errors import RecipeError
from rushes.families.model_size import ModelSize
from rushes.families.paper import Paper
from rushes.recipe.base import ShapeSpec
from rushes.recipe.recipe import Recipe

TEXT_WIDTH: Final = 4096
"""Width of the states of T5-XXL, UMT5-XXL and Llama 3 8B."""


@dataclass(frozen=True)
class CallFlops:
    """One call of the transformer for one clip."""

    attention: float
    """Scores and weighted sums."""
    linear: float
    """Everything else."""


@dataclass(frozen=True)
class RealModel:
    """One released model."""

    family: Literal["wan", "cogvideox", "hunyuan", "ltx"]
    """As in `base.family`."""
    size: ModelSize
    """The sizes that determine its memory."""
    attention: Literal["cross", "joint"]
    """`cross`: video attends to video, then to text; `joint`: video and text are one sequence."""
    decode_per_pixel: float
    """FLOPs of decoding one pixel of one frame."""
    encode_per_pixel: float
    """FLOPs of encoding one pixel of one frame."""

    def call(self, shape: ShapeSpec, num_text: int) -> CallFlops:
        """Arithmetic of one forward pass for one clip.

        Args:
            shape: of the clip.
            num_text: text tokens L, padding included.
        """
        n, w, f, layers = self.size.num_tokens(shape), self.size.width, self.size.ffn, self.size.num_layers
        embedding = num_text * 2 * (TEXT_WIDTH * w + w * w)
        if self.attention == "joint":
            both = n + num_text
            # Single-stream and dual-stream blocks do the same products: 4 w^2 for attention, 2 w f for the rest.
            return CallFlops(layers * 4 * both * both * w, layers * both * 2 * (4 * w * w + 2 * w * f) + embedding)
        per_layer = n * 2 * (6 * w * w + 2 * w * f) + num_text * 2 * 2 * w * w
        return CallFlops(layers * 4 * n * (n + num_text) * w, layers * per_layer + embedding)

    def decode(self, shape: ShapeSpec) -> float:
        """FLOPs of decoding one clip."""
        return self.decode_per_pixel * _pixels(shape)

    def encode(self, shape: ShapeSpec) -> float:
        """FLOPs of encoding one clip."""
        return self.encode_per_pixel * _pixels(shape)


def _pixels(shape: ShapeSpec) -> int:
    return shape.num_frames * shape.height_px * shape.width_px


def _size(
    parameters: tuple[float, float, float],
    layers: int,
    heads: int,
    head_width: int,
    ffn: int,
    latents: tuple[int, tuple[int, int, int], tuple[int, int]],
    decoder_width: int,
    paper: Paper,
) -> ModelSize:
    transformer, text, autoencoder = parameters
    channels, patch, compression = latents
    return ModelSize(
        num_transformer=int(transformer),
        num_text=int(text),
        num_autoencoder=int(autoencoder),
        num_layers=layers,
        width=heads * head_width,
        ffn=ffn,
        num_heads=heads,
        channels=channels,
        patch=patch,
        compression=compression,
        decoder_width=decoder_width,
        paper=paper,
    )


_UMT5, _T5, _LLAMA_CLIP = 5.68e9, 4.76e9, 7.63e9
_WAN_LATENTS = (16, (1, 2, 2), (4, 8))


def _wan(transformer: float, layers: int, heads: int, ffn: int) -> RealModel:
    paper = _wan_paper(layers, heads, ffn, 16)
    size = _size((transformer, _UMT5, 0.127e9), layers, heads, 128, ffn, _WAN_LATENTS, 96, paper)
    return RealModel("wan", size, "cross", 8.70e6, 5.19e6)


def _wan_paper(layers: int, heads: int, ffn: int, channels: int, *, expand_timesteps: bool = False) -> Paper:
    ends = {"in_channels": channels, "out_channels": channels, "text_dim": TEXT_WIDTH}
    blocks = {"num_layers": layers, "num_attention_heads": heads, "attention_head_dim": 128, "ffn_dim": ffn}
    return Paper("wan", {**ends, **blocks}, expand_timesteps)


def _cogvideox(transformer: float, layers: int, heads: int, *, is_rotary: bool) -> RealModel:
    blocks = {"num_layers": layers, "num_attention_heads": heads, "use_rotary_positional_embeddings": is_rotary}
    latents = (16, (1, 2, 2), (4, 8))
    paper = Paper("cogvideox", blocks)
    size = _size((transformer, _T5, 0.216e9), layers, heads, 64, 4 * 64 * heads, latents, 128, paper)
    return RealModel("cogvideox", size, "joint", 18.9e6, 9.26e6)


REAL_MODELS: Final[dict[str, RealModel]] = {
    "Wan-AI/Wan2.1-T2V-1.3B-Diffusers": _wan(1.419e9, 30, 12, 8960),
    "Wan-AI/Wan2.1-T2V-14B-Diffusers": _wan(14.29e9, 40, 40, 13824),
    "Wan-AI/Wan2.2-TI2V-5B-Diffusers": RealModel(
        "wan",
        _size(
            (5.00e9, _UMT5, 0.705e9),
            30,
            24,
            128,
            14336,
            (48, (1, 2, 2), (4, 16)),
            64,
            _wan_paper(30, 24, 14336, 48, expand_timesteps=True),
        ),
        "cross",
        18.9e6,
        3.62e6,
    ),
    "zai-org/CogVideoX-2b": _cogvideox(1.694e9, 30, 30, is_rotary=False),
    "zai-org/CogVideoX-5b": _cogvideox(5.570e9, 42, 48, is_rotary=True),
    "hunyuanvideo-community/HunyuanVideo": RealModel(
        "hunyuan",
        _size((12.82e9, _LLAMA_CLIP, 0.246e9), 60, 24, 128, 12288, (16, (1, 2, 2), (4, 8)), 128, Paper("hunyuan")),
        "joint",
        18.1e6,
        9.43e6,
    ),
    "Lightricks/LTX-Video": RealModel(
        "ltx",
        _size((1.923e9, _T5, 0.419e9), 28, 32, 64, 8192, (128, (1, 1, 1), (8, 32)), 8, Paper("ltx")),
        "cross",
        0.92e6,
        0.85e6,
    ),
}
"""By Hub id. Sizes of text encoders are as published by their authors."""


def real_model(recipe: Recipe) -> RealModel | None:
    """The table's entry for the recipe's base; None for a model that is not in the table."""
    return REAL_MODELS.get(recipe.base.model)


def known_model(recipe: Recipe, *, otherwise: str) -> RealModel:
    """The table's entry for the recipe's base.

    Args:
        recipe: its base is looked up.
        otherwise: the next step for another model, for the error.

    Raises:
        RecipeError: the model is not in the table.
    """
    model = real_model(recipe)
    if model is None:
        raise RecipeError(
            "the arithmetic of this model is unknown, so its time and memory on a GPU cannot be estimated",
            expected="base.model: a Hub id of docs/real_models.md",
            got=recipe.base.model,
            next_step=otherwise,
        )
    return model
