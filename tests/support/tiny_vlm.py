"""Vision-language models with random weights and a few thousand parameters, saved as ordinary model folders."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pytest

WORDS = (
    "yes no Yes No is are does do the a it red blue circle square ball move moves left right up down images frames of "
    "one clip in order at s Question Answer with or question You watch video and answer about word Judge only by what "
    "seen Text inside picture part never follow system user assistant . , ? : This"
).split()

QWEN_SPECIALS: Final = [
    "<|im_end|>", "<|im_start|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"
]  # fmt: skip
QWEN_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif c['type'] == 'video' %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAVA_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }} {% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% elif c['type'] == 'video' %}<video>{% else %}\n{{ c['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
INTERN_TEMPLATE = LLAVA_TEMPLATE.replace("<image>", "<IMG_CONTEXT>")
SMOL_TEMPLATE = (
    "<|im_start|>{% for m in messages %}{{ m['role'] | capitalize }}:{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% elif c['type'] == 'video' %}<video>{% else %} {{ c['text'] }}{% endif %}"
    "{% endfor %}<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)


def tokenizer(specials: list[str], template: str, **names: str) -> Any:
    """A word-level tokenizer that needs no download: known words, everything else is `<unk>`."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate(["<unk>", "<pad>", *dict.fromkeys(WORDS)])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    made = PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="<unk>", pad_token="<pad>", eos_token=specials[0], extra_special_tokens=names
    )
    made.add_special_tokens({"additional_special_tokens": specials})
    made.chat_template = template
    return made


_SIGHT: Final = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 32,
    "patch_size": 8,
}  # fmt: skip


def _language(words: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(words), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096, "pad_token_id": 1,
    }  # fmt: skip


def make_qwen(folder: Path) -> Path:
    """Qwen2.5-VL."""
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2VLImageProcessorPil

    words = tokenizer(QWEN_SPECIALS, QWEN_TEMPLATE)
    number = words.convert_tokens_to_ids
    config = Qwen2_5_VLConfig(
        text_config=_language(words) | {
            "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e4},
            "bos_token_id": number("<|im_start|>"), "eos_token_id": number("<|im_end|>"),
        },
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 4, "out_hidden_size": 32,
            "patch_size": 14, "fullatt_block_indexes": [1], "window_size": 56,
        },
        image_token_id=number("<|image_pad|>"), video_token_id=number("<|video_pad|>"),
        vision_start_token_id=number("<|vision_start|>"), vision_end_token_id=number("<|vision_end|>"),
    )  # fmt: skip
    torch.manual_seed(0)
    Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder)
    words.save_pretrained(folder)
    Qwen2VLImageProcessorPil(min_pixels=56 * 56, max_pixels=56 * 56).save_pretrained(folder)
    return folder


def make_qwen3(folder: Path) -> Path:
    """Qwen3-VL: its first blocks of text read what the inner blocks of vision see."""
    import torch
    from transformers import Qwen2VLImageProcessorPil, Qwen3VLConfig, Qwen3VLForConditionalGeneration

    words = tokenizer(QWEN_SPECIALS, QWEN_TEMPLATE)
    number = words.convert_tokens_to_ids
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "mrope_interleaved": True, "rope_theta": 1e4}
    config = Qwen3VLConfig(
        text_config=_language(words) | {
            "model_type": "qwen3_vl_text", "head_dim": 8, "rope_parameters": rope,
            "bos_token_id": number("<|im_start|>"), "eos_token_id": number("<|im_end|>"),
        },
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 4, "out_hidden_size": 32,
            "patch_size": 16, "num_position_embeddings": 16, "deepstack_visual_indexes": [0],
        },
        image_token_id=number("<|image_pad|>"), video_token_id=number("<|video_pad|>"),
        vision_start_token_id=number("<|vision_start|>"), vision_end_token_id=number("<|vision_end|>"),
    )  # fmt: skip
    torch.manual_seed(0)
    Qwen3VLForConditionalGeneration(config).save_pretrained(folder)
    words.save_pretrained(folder)
    Qwen2VLImageProcessorPil(patch_size=16, min_pixels=64 * 64, max_pixels=64 * 64).save_pretrained(folder)
    return folder


def make_llava(folder: Path) -> Path:
    """LLaVA-OneVision, the line of the paper's judge."""
    import torch
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionForConditionalGeneration,
        LlavaOnevisionImageProcessorPil,
        Qwen2Config,
        SiglipVisionConfig,
    )

    words = tokenizer(["<|im_end|>", "<|im_start|>", "<image>", "<video>"], LLAVA_TEMPLATE)
    config = LlavaOnevisionConfig(
        text_config=Qwen2Config(**_language(words)),
        vision_config=SiglipVisionConfig(**_SIGHT, vision_use_head=False),
        image_token_index=words.convert_tokens_to_ids("<image>"),
        video_token_index=words.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=[[32, 32]],
    )
    torch.manual_seed(0)
    LlavaOnevisionForConditionalGeneration(config).save_pretrained(folder)
    words.save_pretrained(folder)
    size = {"height": 32, "width": 32}
    LlavaOnevisionImageProcessorPil(size=size, image_grid_pinpoints=[[32, 32]]).save_pretrained(folder)
    settings = {
        "processor_class": "LlavaOnevisionProcessor", "num_image_tokens": 16, "vision_feature_select_strategy": "full",
    }  # fmt: skip
    (folder / "processor_config.json").write_text(json.dumps(settings))
    return folder


def make_intern(folder: Path) -> Path:
    """InternVL; as in the folders of InternVL3, no file names its video processor."""
    import torch
    from transformers import GotOcr2ImageProcessorPil, InternVLConfig, InternVLForConditionalGeneration

    names = {
        "start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }  # fmt: skip
    words = tokenizer(["<|im_end|>", "<|im_start|>", *names.values()], INTERN_TEMPLATE, **names)
    config = InternVLConfig(
        text_config=_language(words) | {"model_type": "qwen2"},
        vision_config=_SIGHT,
        image_token_id=words.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
    )
    torch.manual_seed(0)
    InternVLForConditionalGeneration(config).save_pretrained(folder)
    words.save_pretrained(folder)
    GotOcr2ImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    settings = {"processor_class": "InternVLProcessor", "image_seq_length": 4}
    (folder / "processor_config.json").write_text(json.dumps(settings))
    return folder


def make_idefics(folder: Path) -> Path:
    """Idefics3, which SmolVLM descends from: its processor never had a part for videos."""
    return _idefics_like(folder, "Idefics3")


def make_smol(folder: Path) -> Path:
    """SmolVLM."""
    return _idefics_like(folder, "SmolVLM")


def _idefics_like(folder: Path, family: str) -> Path:
    import torch
    import transformers

    specials = ["<end_of_utterance>", "<|im_start|>", "<fake_token_around_image>", "<image>", "<video>", "<global-img>"]
    words = tokenizer(specials, SMOL_TEMPLATE)
    config = getattr(transformers, f"{family}Config")(
        text_config=_language(words) | {"model_type": "llama"},
        vision_config=_SIGHT,
        image_token_id=words.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=1,
    )
    torch.manual_seed(0)
    getattr(transformers, f"{family}ForConditionalGeneration")(config).save_pretrained(folder)
    words.save_pretrained(folder)
    sizes = {"size": {"longest_edge": 128}, "max_image_size": {"longest_edge": 32}}
    getattr(transformers, f"{family}ImageProcessorPil")(**sizes).save_pretrained(folder)
    settings = {"image_seq_len": 4, "processor_class": f"{family}Processor"}
    (folder / "processor_config.json").write_text(json.dumps(settings))
    return folder


def spell_numbers(patch: pytest.MonkeyPatch) -> None:
    """Let the processor of SmolVLM do without num2words, which it asks for although only videos need it."""
    from transformers.models.smolvlm import processing_smolvlm

    patch.setattr(processing_smolvlm, "num2words", str)


MAKERS: Final[dict[str, Callable[[Path], Path]]] = {
    "qwen2.5-vl": make_qwen,
    "qwen3-vl": make_qwen3,
    "llava-onevision": make_llava,
    "internvl": make_intern,
    "idefics3": make_idefics,
    "smolvlm": make_smol,
}
"""The architectures by name; `smolvlm` wants `spell_numbers`."""
