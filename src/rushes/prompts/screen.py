"""Which drafts become prompts: pure, deterministic, in the order given; every refusal has its reason.

A draft is refused if it is empty or too long, uses words that the model cannot read, contradicts itself, repeats a
held-out or probe prompt, or nearly repeats an earlier draft. Good drafts beyond the number needed are left out.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rushes.context import Context
from rushes.plugins import CLIP_SOURCE, WRITER, resolved
from rushes.prompts.meaning import near_in_meaning
from rushes.prompts.orders import orders_in
from rushes.prompts.plain_english import PlainEnglish
from rushes.prompts.reader import BringsReader, PromptReader
from rushes.prompts.similarity import near_pairs
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.prompts import PromptsSpec, ScreenSpec
from rushes.records import Prompt, Rejection

ALWAYS: Final = frozenset(("empty", "held_out"))
"""Reasons that refuse a prompt even when the screen is switched off."""
_MARKS: Final = re.compile(r"[^\W\d_]+|\S")
_LETTER: Final = re.compile(r"[^\W_]")
_SHOWN_WORDS: Final = 5
_SHOWN_CHARS: Final = 40
_LONGEST_WORD: Final = 20
"""Maximum mean number of characters per word; a text above it is refused."""


@dataclass(frozen=True)
class Reads:
    """What a model can read of a text."""

    vocabulary: frozenset[str] | None = None
    """The words and marks of a word-level tokenizer, lower case; None if any word can be read."""
    max_tokens: int | None = None
    """Longest text, tokens; None for no limit."""
    count_tokens: Callable[[str], int] | None = None
    """The model's own count of a text, end mark included; None leaves the length in tokens unchecked."""


ANYTHING: Final = Reads()
"""A model that reads every text."""
PLAIN_ENGLISH: Final[PromptReader] = PlainEnglish()
"""How prompts are read where no plug-in of the recipe knows better."""


@dataclass(frozen=True)
class Screened:
    """The outcome of the drafts. A good one beyond the number needed is neither accepted nor refused."""

    accepted: tuple[Prompt, ...]
    """Prompts to generate clips of, in the order given; at most the needed number of each dimension."""
    rejections: tuple[Rejection, ...]
    """Refused drafts, one reason each, in the order given."""


def screen(
    candidates: Sequence[Prompt],
    *,
    evaluation: Sequence[Prompt],
    spec: ScreenSpec,
    reads: Reads = ANYTHING,
    wanted: Mapping[str, int] | None = None,
    objections: Mapping[str, tuple[str, str]] | None = None,
    keep_repeats: bool = False,
    reader: PromptReader = PLAIN_ENGLISH,
) -> Screened:
    """Decide about each draft.

    Args:
        candidates: drafts, in a fixed order; of near-duplicates the earlier one is kept.
        evaluation: every probe and held-out prompt, whatever its dimension: none of them may be trained on.
        spec: limits.
        reads: what the model can read.
        wanted: dimension -> how many prompts; dimensions that are not named have no limit. None for no limits.
        objections: a critic's refusals: key of the prompt -> reason tag and detail.
        keep_repeats: True for captions: several videos may show what the same words say.
        reader: tells which texts contradict themselves, and which state the same.
    """
    held_out = _held_out(candidates, evaluation, spec, reader)
    tests: tuple[Callable[[Prompt], tuple[str, str] | None], ...] = (
        lambda prompt: None if _LETTER.search(prompt.text) else ("empty", "there are no words"),
        lambda prompt: _too_long(prompt.text, spec, reads),
        lambda prompt: _unknown_word(prompt.text, reads.vocabulary),
        lambda prompt: orders_in(prompt.text),
        lambda prompt: _impossible(prompt.text, reader),
        lambda prompt: (objections or {}).get(prompt.key),
        lambda prompt: held_out.get(prompt.text),
    )
    refused: dict[int, tuple[str, str]] = {}
    for position, prompt in enumerate(candidates):
        found = [reason for test in tests if (reason := test(prompt)) is not None]
        if strict := [reason for reason in found if spec.enabled or reason[0] in ALWAYS]:
            refused[position] = strict[0]
    good = [position for position in range(len(candidates)) if position not in refused]
    if spec.enabled and not keep_repeats:
        doubles = _near_duplicates([candidates[position].text for position in good], spec)
        refused |= {good[k]: reason for k, reason in doubles.items()}
    kept = [candidates[position] for position in good if position not in refused]
    return Screened(
        accepted=_dealt(kept, wanted or {}),
        rejections=tuple(_rejection(candidates[position], *refused[position]) for position in sorted(refused)),
    )


def distinct(prompts: Sequence[Prompt], spec: ScreenSpec) -> tuple[Prompt, ...]:
    """Prompts without those that nearly repeat an earlier one; all of them if the screen is switched off."""
    doubles = _near_duplicates([prompt.text for prompt in prompts], spec) if spec.enabled else {}
    return tuple(prompt for position, prompt in enumerate(prompts) if position not in doubles)


def screen_splits(
    splits: Mapping[str, Sequence[Prompt]],
    *,
    spec: ScreenSpec,
    reads: Reads = ANYTHING,
    reader: PromptReader = PLAIN_ENGLISH,
) -> dict[str, Screened]:
    """Screen evaluation prompts so that no two splits share any content: each split against all splits before it.

    Args:
        splits: name -> drafts, first come first served, e.g. probe, development, test.
        spec: limits.
        reads: what the model can read.
        reader: tells which texts state the same.
    """
    found: dict[str, Screened] = {}
    taken: list[Prompt] = []
    for name, drafts in splits.items():
        found[name] = screen(drafts, evaluation=taken, spec=spec, reads=reads, reader=reader)
        taken += found[name].accepted
    return found


def reader_of(spec: PromptsSpec) -> PromptReader:
    """The reader that the recipe's writer, or else its source of real clips, brings; plain English if neither does.

    Where only real clips are trained on, all texts are their captions, and the writer may be one that is not there.

    Raises:
        RecipeError: a plug-in that cannot be used.
    """
    writer = None if spec.only_real else spec.writer
    for each, role in ((writer, WRITER), (spec.real.source, CLIP_SOURCE)):
        plugin = resolved(each, role) if isinstance(each, PluginSpec) else None
        if isinstance(plugin, BringsReader):
            return plugin.reader()
    return PLAIN_ENGLISH


# ---------------------------------------------------------------------------------------------- the tests


def unreadable(text: str, reads: Reads) -> str | None:
    """Why a model cannot read a text as it stands: words that it does not know, or more tokens than it takes."""
    found = _unknown_word(text, reads.vocabulary) or _too_many_tokens(text, reads)
    return None if found is None else found[1]


def _too_long(text: str, spec: ScreenSpec, reads: Reads) -> tuple[str, str] | None:
    num_words = len(text.split())
    if num_words > spec.max_words:
        return "too_long", f"{num_words} words, at most {spec.max_words} are read"
    if len(text) > spec.max_words * _LONGEST_WORD:
        return "too_long", f"{len(text)} characters, at most {spec.max_words * _LONGEST_WORD} are read"
    return _too_many_tokens(text, reads)


def _too_many_tokens(text: str, reads: Reads) -> tuple[str, str] | None:
    if reads.max_tokens is None or reads.count_tokens is None:
        return None
    if (num_tokens := reads.count_tokens(text)) > reads.max_tokens:
        return "too_long", f"{num_tokens} tokens, at most {reads.max_tokens} are read: the end would be cut off"
    return None


def _unknown_word(text: str, vocabulary: frozenset[str] | None) -> tuple[str, str] | None:
    if vocabulary is None:
        return None
    unknown = list(dict.fromkeys(word for word in _MARKS.findall(text.lower()) if word not in vocabulary))
    if not unknown:
        return None
    more = f" and {len(unknown) - _SHOWN_WORDS} more" if len(unknown) > _SHOWN_WORDS else ""
    return (
        "unknown_word",
        f"the model cannot read {', '.join(repr(word[:_SHOWN_CHARS]) for word in unknown[:_SHOWN_WORDS])}{more}",
    )


def _impossible(text: str, reader: PromptReader) -> tuple[str, str] | None:
    found = reader.objection(text)
    return None if found is None else (found.reason, found.detail)


def _held_out(
    candidates: Sequence[Prompt], evaluation: Sequence[Prompt], spec: ScreenSpec, reader: PromptReader
) -> dict[str, tuple[str, str]]:
    """Text -> which evaluation prompt it repeats."""

    def content(prompt: Prompt) -> Hashable:
        return reader.content(prompt.text, with_background=not spec.any_background)

    asked: dict[Hashable, Prompt] = {}
    for prompt in evaluation:
        asked.setdefault(content(prompt), prompt)
    found: dict[str, tuple[str, str]] = {}
    for prompt in candidates:
        same = asked.get(content(prompt))
        if same is not None:
            found[prompt.text] = "held_out", f"has the same content as the {_role(same)} prompt {same.text!r}"
    texts, known = [prompt.text for prompt in candidates], [prompt.text for prompt in evaluation]
    for near in near_pairs(texts, known, spec.held_out_overlap):
        other = evaluation[near.other]
        detail = f"{near.cosine:.2f} overlap with the {_role(other)} prompt {other.text!r}"
        found.setdefault(texts[near.row], ("held_out", detail))
    if spec.meaning_duplicate is not None:
        for near in near_in_meaning(texts, known, spec.meaning_duplicate):
            other = evaluation[near.other]
            detail = f"{near.cosine:.2f} similarity in meaning to the {_role(other)} prompt {other.text!r}"
            found.setdefault(texts[near.row], ("held_out", detail))
    return found


def _role(prompt: Prompt) -> str:
    return prompt.origin.replace("_", "-")


def _near_duplicates(texts: Sequence[str], spec: ScreenSpec) -> dict[int, tuple[str, str]]:
    """Position -> which earlier text it repeats, in words or in meaning. Only texts that are kept count as earlier."""
    earlier: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for near in near_pairs(texts, texts, spec.near_duplicate):
        if near.other < near.row:
            earlier[near.row].append((near.other, f"{near.cosine:.2f} overlap with {texts[near.other]!r}"))
    if spec.meaning_duplicate is not None:
        for near in near_in_meaning(texts, texts, spec.meaning_duplicate):
            if near.other < near.row:
                earlier[near.row].append(
                    (near.other, f"{near.cosine:.2f} similarity in meaning to {texts[near.other]!r}")
                )
    found: dict[int, tuple[str, str]] = {}
    for row in sorted(earlier):
        kept = next((detail for other, detail in sorted(earlier[row]) if other not in found), None)
        if kept is not None:
            found[row] = "near_duplicate", kept
    return found


def _dealt(kept: Iterable[Prompt], wanted: Mapping[str, int]) -> tuple[Prompt, ...]:
    """The first prompts of each dimension, as many as are wanted."""
    have: Counter[str] = Counter()
    accepted = []
    for prompt in kept:
        if prompt.dimension not in wanted or have[prompt.dimension] < wanted[prompt.dimension]:
            have[prompt.dimension] += 1
            accepted.append(prompt)
    return tuple(accepted)


def _rejection(prompt: Prompt, reason: str, detail: str) -> Rejection:
    return Rejection(text=prompt.text, dimension=prompt.dimension, reason=reason, detail=detail, prompt_key=prompt.key)


def reads_of(context: Context) -> Reads:
    """What the run's base model can read."""
    return Reads(context.vocabulary, context.recipe.base.max_tokens, context.count_tokens)
