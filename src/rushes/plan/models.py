"""The released models that recipes name: their sizes, and the arithmetic of one transformer call. No weights needed.

N video tokens, L text tokens, w width, f width inside the feed-forward layers; an a x b matrix times one of b x c is
2 a b c FLOPs. A test holds every number to the real classes, built from their configs without memory ("meta").
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from rushes.errors import RecipeError
from rushes.families.folder import FamilyName, known_experts
from rushes.families.model_size import ModelSize
from rushes.families.paper import Paper
from rushes.recipe.base import ShapeSpec
from rushes.recipe.recipe import Recipe

TEXT_WIDTH: Final = 4096
"""Width of the states of T5-XXL, UMT5-XXL and Llama 3 8B."""
LINEAR_HEAD: Final = 112
"""Width of a head of SANA-Video's linear attention."""


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

    family: FamilyName
    """As in `base.family`."""
    size: ModelSize
    """The sizes that determine its memory."""
    attention: Literal["cross", "joint", "linear"]
    """`cross`: video attends to video, then to text; `joint`: video and text are one sequence; `linear`: as `cross`,
    but without a matrix of scores over the video, and with gated convolutions in place of feed-forward layers."""
    decode_per_pixel: float
    """FLOPs of decoding one pixel of one frame."""
    encode_per_pixel: float
    """FLOPs of encoding one pixel of one frame."""
    text_width: int = TEXT_WIDTH
    """Width of the text encoder's states."""
    num_other: int = 0
    """Tokens beside video and text that a `joint` transformer always takes: a second encoder's, an image's."""
    other_width: int = 0
    """Width of a second stream (LTX-2's sound): a `cross` transformer's video attends to it, and it to the video."""

    def call(self, shape: ShapeSpec, num_text: int) -> CallFlops:
        """Arithmetic of one forward pass for one clip.

        Args:
            shape: of the clip.
            num_text: text tokens L, padding included.
        """
        n, w, f, layers = self.size.num_tokens(shape), self.size.width, self.size.ffn, self.size.num_layers
        embedding = num_text * 2 * (self.text_width * w + w * w)
        if self.attention == "linear":
            # Keys times values, then times queries: a head's width stands where the tokens would.
            over_video = 4 * n * w * LINEAR_HEAD
            # f is both halves of the gated layer: in at f, depthwise 3 x 3 at f, out at f / 2, then 3 x 1 over time.
            per_layer = n * 2 * (6 * w * w + 1.5 * w * f + 9 * f + 3 * w * w) + num_text * 2 * 2 * w * w
            return CallFlops(layers * (over_video + 4 * n * num_text * w), layers * per_layer + embedding)
        if self.attention == "joint":
            both = n + num_text + self.num_other
            # Single-stream and dual-stream blocks do the same products: 4 w^2 for attention, 2 w f for the rest.
            return CallFlops(layers * 4 * both * both * w, layers * both * 2 * (4 * w * w + 2 * w * f) + embedding)
        # The second stream is short: only what it does with the tokens of the video counts.
        per_layer = n * 2 * (6 * w * w + 2 * w * f + 4 * w * self.other_width) + num_text * 2 * 2 * w * w
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


_UMT5, _T5, _LLAMA_CLIP, _GEMMA2, _GEMMA3, _QWEN_BYT5 = 5.68e9, 4.76e9, 7.63e9, 2.61e9, 12.19e9, 7.83e9
_WAN_LATENTS = (16, (1, 2, 2), (4, 8))


def _wan(transformer: float, layers: int, heads: int, ffn: int, num_experts: int = 1) -> RealModel:
    paper = _wan_paper(layers, heads, ffn, 16)
    size = _size((transformer, _UMT5, 0.127e9), layers, heads, 128, ffn, _WAN_LATENTS, 96, paper)
    return RealModel("wan", replace(size, num_experts=num_experts), "cross", 8.70e6, 5.19e6)


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


def _sana_video(
    latents: tuple[int, tuple[int, int, int], tuple[int, int]],
    autoencoder: float,
    decoder_width: int,
    decode: float,
    encode: float,
) -> RealModel:
    channels, (_, patch, _), _ = latents
    config = {"in_channels": channels, "out_channels": channels, "mlp_ratio": 3.0, "patch_size": (1, patch, patch)}
    paper = Paper("sana_video", config)
    size = _size((2.06e9, _GEMMA2, autoencoder), 20, 20, LINEAR_HEAD, 13440, latents, decoder_width, paper)
    return RealModel("sana_video", replace(size, num_heads=0), "linear", decode, encode, text_width=2304)


_HUNYUAN15 = RealModel(
    "hunyuan15",
    _size((8.327e9, _QWEN_BYT5, 1.261e9), 54, 16, 128, 8192, (32, (1, 1, 1), (4, 16)), 128, Paper("hunyuan15")),
    "joint",
    25.7e6,
    14.4e6,
    text_width=3584,
    num_other=256 + 729,  # of ByT5, whether anything is quoted or not, and places for an image
)

REAL_MODELS: Final[dict[str, RealModel]] = {
    "Wan-AI/Wan2.1-T2V-1.3B-Diffusers": _wan(1.419e9, 30, 12, 8960),
    "Wan-AI/Wan2.1-T2V-14B-Diffusers": _wan(14.29e9, 40, 40, 13824),
    "Wan-AI/Wan2.2-T2V-A14B-Diffusers": _wan(14.29e9, 40, 40, 13824, num_experts=2),
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
    "hunyuanvideo-community/HunyuanVideo-1.5-Diffusers-480p_t2v": _HUNYUAN15,
    "hunyuanvideo-community/HunyuanVideo-1.5-Diffusers-720p_t2v": _HUNYUAN15,
    "Lightricks/LTX-Video": RealModel(
        "ltx",
        _size((1.923e9, _T5, 0.419e9), 28, 32, 64, 8192, (128, (1, 1, 1), (8, 32)), 8, Paper("ltx")),
        "cross",
        0.92e6,
        0.85e6,
    ),
    "Lightricks/LTX-2": RealModel(
        "ltx2",
        _size((18.88e9, _GEMMA3, 1.222e9), 48, 32, 128, 16384, (128, (1, 1, 1), (8, 32)), 16, Paper("ltx2")),
        "cross",
        1.35e6,
        3.09e6,
        text_width=3840,
        other_width=2048,
    ),
    "Efficient-Large-Model/SANA-Video_2B_480p_diffusers": _sana_video(_WAN_LATENTS, 0.127e9, 96, 8.70e6, 5.19e6),
    "Efficient-Large-Model/SANA-Video_2B_720p_diffusers": _sana_video(
        (128, (1, 1, 1), (8, 32)), 1.222e9, 16, 1.35e6, 3.09e6
    ),
}
"""By Hub id. Sizes of text encoders are as published by their authors."""


def real_model(recipe: Recipe) -> RealModel | None:
    """The table's entry for the recipe's base; None for a model that is not in the table."""
    return REAL_MODELS.get(recipe.base.model)


def num_tuned_experts(recipe: Recipe) -> int:
    """Transformers that are trained one after the other, each with all steps: two of a model that has two by noise
    level, unless the recipe names one. A model that is neither here nor in the table is taken to have one."""
    model = real_model(recipe)
    has_two = known_experts(recipe.base) if model is None else model.size.num_experts > 1
    return 2 if has_two and recipe.train.experts == "both" else 1


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
