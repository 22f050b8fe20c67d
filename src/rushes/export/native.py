"""The names that a family's own code uses for the weights that diffusers renamed; ComfyUI and kohya's tools read them.

Each table is the inverse of the renaming that loads those files into diffusers. CogVideoX is the exception: only its
own loader reads its own names, so its table has the names of ComfyUI's implementation.

A name that ends in `[k]` is the k-th part of a layer that is fused there and split in diffusers; `[swapped]` marks a
layer whose output has its two halves swapped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from rushes.errors import InputError, command

Known = TypeVar("Known")
Rules = Sequence[tuple[str, str]]
"""Patterns and replacements, applied in order."""
Naming = Callable[[str], str]
"""From a weight's or module's name in diffusers to its name in the family's own code, with `[k]` and `[swapped]`."""


def _inside(block: str, native: str, parts: Mapping[str, str]) -> Rules:
    """Rules for the layers of numbered blocks.

    Args:
        block: name of the blocks in diffusers, before the number.
        native: the same in the family's own code.
        parts: names of the layers inside, diffusers' and the family's.
    """
    start = rf"^{re.escape(block)}\.(\d+)"
    return [(rf"{start}\.{re.escape(name)}(?=\.|$)", rf"{native}.\1.{own}") for name, own in parts.items()]


_WAN: Final[Rules] = (
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
    # Wan numbers its norms in the order of definition, diffusers in the order of use.
    (r"^(blocks\.\d+)\.norm2\b", r"\1.norm_third"),
    (r"^(blocks\.\d+)\.norm3\b", r"\1.norm2"),
    (r"^(blocks\.\d+)\.norm_third\b", r"\1.norm3"),
)
_LTX: Final[Rules] = (
    (r"^proj_in\b", "patchify_proj"),
    (r"^time_embed\b", "adaln_single"),
    (r"\.norm_q\b", ".q_norm"),
    (r"\.norm_k\b", ".k_norm"),
)
_HUNYUAN: Final[Rules] = (
    (r"^x_embedder\b", "img_in"),
    (r"^proj_out\b", "final_layer.linear"),
    (r"^norm_out\.linear\b", "final_layer.adaLN_modulation.1[swapped]"),
    (r"^time_text_embed\.text_embedder\.linear_1\b", "vector_in.in_layer"),
    (r"^time_text_embed\.text_embedder\.linear_2\b", "vector_in.out_layer"),
    (r"^time_text_embed\.timestep_embedder\b", "time_in"),
    (r"^time_text_embed\.guidance_embedder\b", "guidance_in"),
    (r"^context_embedder\.proj_in\b", "txt_in.input_embedder"),
    (r"^context_embedder\.time_text_embed\.text_embedder\b", "txt_in.c_embedder"),
    (r"^context_embedder\.time_text_embed\.timestep_embedder\b", "txt_in.t_embedder"),
    (r"^(time_in|guidance_in|txt_in\.t_embedder)\.linear_1\b", r"\1.mlp.0"),
    (r"^(time_in|guidance_in|txt_in\.t_embedder)\.linear_2\b", r"\1.mlp.2"),
    *_inside(
        "context_embedder.token_refiner.refiner_blocks",
        "txt_in.individual_token_refiner.blocks",
        {
            **{f"attn.to_{letter}": f"self_attn_qkv[{part}]" for part, letter in enumerate("qkv")},
            **{"attn.to_out.0": "self_attn_proj", "ff.net.0.proj": "mlp.fc1", "ff.net.2": "mlp.fc2"},
            **{"norm_out.linear": "adaLN_modulation.1", "norm1": "norm1", "norm2": "norm2"},
        },
    ),
    *_inside(
        "transformer_blocks",
        "double_blocks",
        {
            **{f"attn.to_{letter}": f"img_attn_qkv[{part}]" for part, letter in enumerate("qkv")},
            **{f"attn.add_{letter}_proj": f"txt_attn_qkv[{part}]" for part, letter in enumerate("qkv")},
            **{"attn.to_out.0": "img_attn_proj", "attn.to_add_out": "txt_attn_proj"},
            **{"attn.norm_q": "img_attn_q_norm", "attn.norm_k": "img_attn_k_norm"},
            **{"attn.norm_added_q": "txt_attn_q_norm", "attn.norm_added_k": "txt_attn_k_norm"},
            **{"norm1.linear": "img_mod.linear", "norm1_context.linear": "txt_mod.linear"},
            **{"ff.net.0.proj": "img_mlp.fc1", "ff.net.2": "img_mlp.fc2"},
            **{"ff_context.net.0.proj": "txt_mlp.fc1", "ff_context.net.2": "txt_mlp.fc2"},
        },
    ),
    *_inside(
        "single_transformer_blocks",
        "single_blocks",
        {
            **{f"attn.to_{letter}": f"linear1[{part}]" for part, letter in enumerate("qkv")},
            **{"proj_mlp": "linear1[3]", "proj_out": "linear2", "norm.linear": "modulation.linear"},
            **{"attn.norm_q": "q_norm", "attn.norm_k": "k_norm"},
        },
    ),
)
_COGVIDEOX: Final[Rules] = (
    (r"^(time|ofs)_embedding\.linear_", r"\1_embedding_linear_"),
    *_inside(
        "transformer_blocks",
        "blocks",
        {
            **{f"attn1.to_{letter}": letter for letter in "qkv"},
            **{"attn1.to_out.0": "attn_out", "attn1.norm_q": "norm_q", "attn1.norm_k": "norm_k"},
            **{"ff.net.0.proj": "ff_proj", "ff.net.2": "ff_out"},
            **{name: name for name in ("norm1.linear", "norm1.norm", "norm2.linear", "norm2.norm")},
        },
    ),
)
_NAMES: Final[Mapping[str, Rules]] = {
    "WanTransformer3DModel": _WAN,
    "LTXVideoTransformer3DModel": _LTX,
    "HunyuanVideoTransformer3DModel": _HUNYUAN,
    "CogVideoXTransformer3DModel": _COGVIDEOX,
}
"""By class of the transformer in diffusers."""

_COMFYUI_LAYERS: Final[Mapping[str, Rules]] = {
    "HunyuanVideoTransformer3DModel": (
        (r"^(time_in|guidance_in|txt_in\.t_embedder)\.mlp\.0\b", r"\1.in_layer"),
        (r"^(time_in|guidance_in|txt_in\.t_embedder)\.mlp\.2\b", r"\1.out_layer"),
        (r"^txt_in\.c_embedder\.linear_1\b", "txt_in.c_embedder.in_layer"),
        (r"^txt_in\.c_embedder\.linear_2\b", "txt_in.c_embedder.out_layer"),
    ),
}
"""Layers that ComfyUI renames when it reads whole weights, but not when it reads an adapter."""


@dataclass(frozen=True)
class KohyaFile:
    """What kohya's tools expect in a file of one family."""

    layers: str
    """The layers that they train, as a pattern of names in diffusers; their readers accept no others."""
    wants_all: bool
    """True if a reader rejects a file that lacks one of them."""
    module: str
    """The network module that the file's header names."""


_KOHYA: Final[Mapping[str, KohyaFile]] = {
    "WanTransformer3DModel": KohyaFile(
        r"blocks\.\d+\.(attn[12]\.(to_[qkv]|to_out\.0)|ffn\.net\.(0\.proj|2))", True, "networks.lora_wan"
    ),
    "HunyuanVideoTransformer3DModel": KohyaFile(
        r"transformer_blocks\.\d+\.attn\.(to_[qkv]|to_out\.0|add_[qkv]_proj|to_add_out)"
        r"|transformer_blocks\.\d+\.ff(_context)?\.net\.(0\.proj|2)"
        r"|single_transformer_blocks\.\d+\.(attn\.to_[qkv]|proj_mlp|proj_out)",
        False,
        "networks.lora",
    ),
}


def native_names(transformer_class: str, home: Path = Path()) -> Naming:
    """The renaming of a family.

    Args:
        transformer_class: class of the transformer in diffusers.
        home: the run folder that is exported, for the error.

    Raises:
        InputError: its names are unknown.
    """
    return _naming(_look_up(transformer_class, _NAMES, "the names that ComfyUI reads", home))


def comfyui_layer_names(transformer_class: str) -> Naming:
    """From a layer's name in the family's own code to the name that ComfyUI looks for in an adapter."""
    return _naming(_COMFYUI_LAYERS.get(transformer_class, ()))


def kohya_file(transformer_class: str, home: Path = Path()) -> KohyaFile:
    """What a kohya file of this family contains; arguments as for `native_names`.

    Raises:
        InputError: kohya's tools are not known to read this family.
    """
    return _look_up(transformer_class, _KOHYA, "the layers that kohya's tools read", home)


def _naming(rules: Rules) -> Naming:
    compiled = [(re.compile(pattern), replacement) for pattern, replacement in rules]

    def rename(name: str) -> str:
        for pattern, replacement in compiled:
            name = pattern.sub(replacement, name)
        return name

    return rename


def _look_up(transformer_class: str, known: Mapping[str, Known], what: str, home: Path) -> Known:
    if transformer_class not in known:
        raise InputError(
            f"{what} are not known for this model",
            expected=f"one of {', '.join(known)}",
            got=transformer_class,
            next_step=f"export all weights for diffusers: {command('export', 'transformer', home)}",
        )
    return known[transformer_class]
