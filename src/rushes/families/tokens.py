"""How many tokens a text is for a model, by the model's own tokenizer; no weights are loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from rushes.families.folder import known_family, local_folder
from rushes.recipe.base import BaseModelSpec

CountTokens = Callable[[str], int]
"""Tokens of a text, the marks that the tokenizer adds to it included."""
_FOLDER: Final = "tokenizer"


def token_counter(base: BaseModelSpec, *, fetch: bool = True) -> CountTokens | None:
    """Counts tokens as the model reads them, without cutting anything off; None if there is no such tokenizer.

    Args:
        base: the model.
        fetch: True downloads the tokenizer of a model on the Hub; False takes only what is on this machine.
    """
    # The pipelines of HunyuanVideo wrap the text in a template, whose own tokens do not count.
    family = known_family(base)
    count = _token_counter(base, fetch=fetch, with_marks=family not in ("hunyuan", "hunyuan15"))
    if count is None or family != "sana_video":
        return count
    # Of the instruction before a text its last token is kept too, and the pipeline lowers the letters.
    return lambda text: count(text.lower()) + 1


def _token_counter(base: BaseModelSpec, *, fetch: bool, with_marks: bool) -> CountTokens | None:
    folder = local_folder(base)
    file = None if folder is None else folder / _FOLDER / "tokenizer.json"
    if file is not None and file.is_file():
        return _of_file(file, with_marks=with_marks)
    if folder is None and not fetch:
        return None
    from transformers import AutoTokenizer

    place = base.model if folder is None else str(folder)
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(place, subfolder=_FOLDER, revision=base.revision)
    except (OSError, ValueError, KeyError, ImportError):
        return None
    return lambda text: len(tokenizer(_spaced(text), add_special_tokens=with_marks, truncation=False)["input_ids"])


def _of_file(file: Path, *, with_marks: bool) -> CountTokens | None:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception:  # the library raises plain exceptions for files that it cannot read
        return None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: len(tokenizer.encode(_spaced(text), add_special_tokens=with_marks).ids)


def _spaced(text: str) -> str:
    """The text with single spaces, as the pipelines clean it."""
    return " ".join(text.split())
