"""What a family's own code calls the weights that diffusers renamed: the names that ComfyUI and kohya's tools read.

Each is the inverse of the renaming with which diffusers reads that family's original files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from rushes.errors import InputError

Rules = TypeVar("Rules")
Renaming = Callable[[str], str]
"""From a weight's or module's name in diffusers to its name in the family's own code."""

_WAN: Final = (
    (r"^condition_embedder\.time_embedder\.linear_1\b", "time_embedding.0"),
    (r"^condition_embedder\.time_embedder\.linear_2\b", "time_embedding.2"),
    (r"^condition_embedder\.text_embedder\.linear_1\b", "text_embedding.0"),
    (r"^condition_embedder\.text_embedder\.linear_2\b", "text_embedding.2"),
    (r"^condition_embedder\.time_proj\b", "time_projection.1"),
    (r"^condition_embedder\.image_embedder\.norm1\b", "img_emb.proj.0"),
    (r"^condition_embedder\.image_embedder\.ff\.net\.0\.proj\b", "img_emb.proj.1"),
    (r"^condition_embedder\.image_embedder\.ff\.net\.2\b", "img_emb.proj.3"),
    (r"^condition_embedder\.image_embedder\.norm2\b", "img_emb.proj.4"),
    (r"^scale_shift_table$", "head.modulation"),
    (r"^proj_out\b", "head.head"),
    (r"\.scale_shift_table$", ".modulation"),
    (r"\.attn1\.", ".self_attn."),
    (r"\.attn2\.", ".cross_attn."),
    (r"\.to_out\.0\b", ".o"),
    (r"\.to_([qkv])\b", r".\1"),
    (r"\.add_([kv])_proj\b", r".\1_img"),
    (r"\.norm_added_k\b", ".norm_k_img"),
    (r"\.ffn\.net\.0\.proj\b", ".ffn.0"),
    (r"\.ffn\.net\.2\b", ".ffn.2"),
    # Wan numbers its norms in the order of its code, diffusers in the order of their use.
    (r"^(blocks\.\d+)\.norm2\b", r"\1.norm_third"),
    (r"^(blocks\.\d+)\.norm3\b", r"\1.norm2"),
    (r"^(blocks\.\d+)\.norm_third\b", r"\1.norm3"),
)
_LTX: Final = (
    (r"^proj_in\b", "patchify_proj"),
    (r"^time_embed\b", "adaln_single"),
    (r"\.norm_q\b", ".q_norm"),
    (r"\.norm_k\b", ".k_norm"),
)
_RULES: Final[Mapping[str, Sequence[tuple[str, str]]]] = {
    "WanTransformer3DModel": _WAN,
    "LTXVideoTransformer3DModel": _LTX,
}
"""By class of the transformer in diffusers."""

KOHYA_LAYERS: Final[Mapping[str, str]] = {
    "WanTransformer3DModel": r"blocks\.\d+\.(attn[12]\.(to_[qkv]|to_out\.0)|ffn\.net\.(0\.proj|2))",
}
"""The layers that kohya's tools train, as a pattern of names in diffusers; readers want all of them, and no other."""


def native_names(transformer_class: str) -> Renaming:
    """The renaming of a family.

    Args:
        transformer_class: class of the transformer in diffusers.

    Raises:
        InputError: its names are not known here.
    """
    rules = _rules(transformer_class, _RULES, "the names that ComfyUI reads")

    def rename(name: str) -> str:
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        return name

    return rename


def kohya_layers(transformer_class: str) -> re.Pattern[str]:
    """Which layers a kohya file has, by name in diffusers.

    Raises:
        InputError: kohya's tools are not known to read this family.
    """
    return re.compile(_rules(transformer_class, KOHYA_LAYERS, "the layers that kohya's tools read"))


def _rules(transformer_class: str, known: Mapping[str, Rules], what: str) -> Rules:
    if transformer_class not in known:
        raise InputError(
            f"{what} are not known for this model",
            expected=f"one of {', '.join(known)}",
            got=transformer_class,
            next_step="export it for diffusers: rushes export lora, or rushes export transformer",
        )
    return known[transformer_class]
