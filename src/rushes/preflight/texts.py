"""Checks of texts that the user brought: the model reads them whole, by its own tokenizer's count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rushes.errors import UserError
from rushes.families.tokens import token_counter
from rushes.findings import Finding
from rushes.prompts.caption_files import read_captions
from rushes.prompts.fixed import FixedWriter
from rushes.prompts.metadata import MetadataRow
from rushes.recipe.prompts import FixedWriterSpec
from rushes.recipe.recipe import Recipe

_SHOWN_CHARS = 60


def check_captions(recipe: Recipe) -> Iterator[Finding]:
    """Captions of real clips and prompts of a list fit into the model's text length; the screen refuses the others."""
    texts = {setting: found for setting, found in _texts(recipe) if found}
    count = token_counter(recipe.base) if texts else None
    if count is None:
        return
    for setting, found in texts.items():
        long = [text for text in found if count(text) > recipe.base.max_tokens]
        if long:
            yield Finding(
                setting,
                f"{len(long)} of {len(found)} texts are longer than the model reads, and will be refused",
                expected=f"at most {recipe.base.max_tokens} tokens (base.max_tokens)",
                got=f"{max(map(count, long))} tokens; the first of them: {long[0][:_SHOWN_CHARS]!r}",
                next_step="shorten them, or raise base.max_tokens if the model was trained with more",
                is_certain=len(long) == len(found),
            )


def _texts(recipe: Recipe) -> Iterator[tuple[str, Sequence[str]]]:
    """The texts behind each setting; none where `check_real_folder` or `check_fixed_prompts` has a finding."""
    real, writer = recipe.prompts.real, recipe.prompts.writer
    try:
        if real.folder is not None and real.num_wanted:
            rows = read_captions(Path(real.folder))
            yield "prompts.real.folder", [each.text for each in rows if isinstance(each, MetadataRow)]
    except UserError:
        pass
    try:
        if isinstance(writer, FixedWriterSpec):
            lists = FixedWriter.read(writer).drafts.values()
            yield "prompts.writer.path", [draft.text for drafts in lists for draft in drafts]
    except UserError:
        pass
