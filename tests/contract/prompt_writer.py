"""The contract of the role PromptWriter: a text per brief, variety, and the same text for the same brief."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rushes.roles import Brief, Draft, Failed, PromptWriter


def check_prompt_writer(
    writer: PromptWriter, briefs: Sequence[Brief], *, repeatable: bool = True, least_variety: float = 0.5
) -> None:
    """Put a prompt writer through the contract.

    Args:
        writer: built.
        briefs: at least four that it can write for, with different seeds.
        repeatable: whether it promises the same text for the same brief.
        least_variety: share of the drafts that must differ from all others.
    """
    assert len(briefs) >= 4, "give the contract at least four briefs"
    drafts = _listed(writer.write(briefs))
    _check_shape(drafts, briefs)
    texts = [draft.text for draft in drafts if isinstance(draft, Draft)]
    assert texts, f"give the contract briefs that the writer can write for; it gave {drafts!r}"
    variety = len(set(texts)) / len(texts)
    assert variety >= least_variety, f"expected different texts, got {len(set(texts))} of {len(texts)}"
    assert list(_listed(writer.write([]))) == [], "no briefs must give no drafts"
    if not repeatable:
        return
    assert _texts(_listed(writer.write(briefs))) == _texts(drafts), "the same briefs must give the same texts"
    assert _texts(_listed(writer.write(briefs[::-1])))[::-1] == _texts(drafts), (
        "the order of briefs must change no text"
    )
    alone = [draft for brief in briefs for draft in _listed(writer.write([brief]))]
    assert _texts(alone) == _texts(drafts), "written alone, a brief must give the same text"


def _texts(drafts: Sequence[Draft | Failed]) -> list[tuple[str, str] | None]:
    return [(draft.text, draft.base_text) if isinstance(draft, Draft) else None for draft in drafts]


def _listed(results: Any) -> Any:
    """The results of an iterator as a list; anything else as it is, to be checked."""
    return list(results) if isinstance(results, Iterator) else results


def _check_shape(drafts: object, briefs: Sequence[Brief]) -> None:
    assert isinstance(drafts, list), f"expected a list, got {type(drafts).__name__}"
    assert len(drafts) == len(briefs), f"expected one draft for each of {len(briefs)} briefs, got {len(drafts)}"
    for draft, brief in zip(drafts, briefs, strict=True):
        if isinstance(draft, Failed):
            continue
        assert isinstance(draft, Draft), f"expected a Draft or Failed, got {draft!r}"
        assert draft.text.strip() and draft.base_text.strip(), f"expected a text and a base text, got {draft!r}"
        for question in draft.questions:
            assert question.dimension == brief.dimension, (
                f"expected questions about {brief.dimension!r}, got one about {question.dimension!r}"
            )
        if draft.real_clip is not None:
            frames = draft.real_clip.frames_THWC
            assert frames.dtype.name == "uint8" and frames.ndim == 4 and frames.shape[-1] == 3, (
                f"expected uint8 frames of shape T, H, W, 3, got {frames.dtype} {frames.shape}"
            )
