"""The sandbox's word-level tokenizer: its vocabulary is exactly the words of the caption grammar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rushes_sandbox.captions import Captioner, base_prompt, detailed_prompt, scraped_caption, words
from rushes_sandbox.grammar import DIMENSIONS, draw_scene

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerFast

MAX_TOKENS = 32
"""Text length in training and sampling of the sandbox model, end mark included."""


def vocabulary(num_scenes: int = 400, seed: int = 0) -> list[str]:
    """Every word of the grammar, sorted; found by drawing enough captions."""
    rng = np.random.default_rng(seed)
    seen: set[str] = set()
    for dimension in DIMENSIONS:
        for _ in range(num_scenes):
            scene = draw_scene(rng, dimension)
            for text in (
                base_prompt(scene, rng),
                detailed_prompt(scene, rng),
                scraped_caption(scene, rng, Captioner()),
            ):
                seen.update(words(text))
    return sorted(seen)


def tokenize(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> tuple[Tensor, Tensor]:
    """Token ids and mask (B, L) of texts, padded or truncated to `MAX_TOKENS`."""
    tokens = tokenizer(texts, padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
    return tokens.input_ids, tokens.attention_mask


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A `tokenizers` word-level tokenizer that `AutoTokenizer` reloads; appends `</s>` as T5 does."""
    from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    marks = ["<pad>", "</s>", "<unk>"]
    ids = {word: index for index, word in enumerate([*marks, *vocabulary()])}
    tokenizer = Tokenizer(WordLevel(ids, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex(r"[^a-z]"), "isolated")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=MAX_TOKENS,
    )
