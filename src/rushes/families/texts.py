"""A transformer's text input: a few tensors with the texts along the first dimension.

Legend: B texts, L tokens, D width of the token states, P width of the pooled state; M tokens of a second encoder, E
width of their states.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import torch
    from torch import Tensor


_NEGATIVE: Final = "\0"
"""Marks a text as a negative prompt; no prompt begins with it."""


def as_negative(prompt: str) -> str:
    """The name under which a sampler's negative prompt is encoded and kept.

    Some families read a negative prompt in another way than a prompt of the same words. The empty text, which is also
    what a dropped caption is replaced by, has no mark: every family reads it in one way.
    """
    return f"{_NEGATIVE}{prompt}" if prompt else ""


def is_negative(text: str) -> bool:
    """Whether a text was marked by `as_negative`."""
    return text.startswith(_NEGATIVE)


def plain_text(text: str) -> str:
    """The words of a text, without the mark."""
    return text.removeprefix(_NEGATIVE)


@dataclass(frozen=True, eq=False)
class TextStates:
    """Encoded texts. Indexing selects texts; `tensors` and `of` convert to and from a safetensors file's tensors.

    Example:
        TextStates(states_BLD=torch.zeros(2, 512, 4096))                                          # Wan, CogVideoX
        TextStates(torch.zeros(2, 256, 4096), mask_BL=torch.ones(2, 256), pooled_BP=torch.zeros(2, 768))    # Hunyuan
    """

    states_BLD: Tensor
    """States of the text encoder, one per token."""
    mask_BL: Tensor | None = None
    """True (or 1) for tokens of the text, False (or 0) for padding; None if the transformer takes no mask."""
    pooled_BP: Tensor | None = None
    """One vector per text from a second encoder; None if the transformer takes none."""
    second_BME: Tensor | None = None
    """States of a second encoder, one per token; None if the transformer takes none."""
    second_mask_BM: Tensor | None = None
    """As `mask_BL`, for the second encoder's tokens."""

    def __len__(self) -> int:
        return len(self.states_BLD)

    def __getitem__(self, rows: slice | Sequence[int] | Tensor) -> TextStates:
        """The texts at `rows`: a slice, a list of numbers or a tensor, as for a tensor's first dimension."""
        return TextStates.of({name: value[rows] for name, value in self.tensors().items()})

    def replaced(self, where_B: Tensor, other: TextStates) -> TextStates:
        """These texts, with the single text of `other` wherever `where_B` is True."""
        mine, theirs = self.tensors(), other.tensors()
        where = {name: where_B.view(-1, *[1] * (value.ndim - 1)) for name, value in mine.items()}
        return TextStates.of({name: theirs[name].where(where[name], value) for name, value in mine.items()})

    def float(self) -> TextStates:
        """States in float32; the masks unchanged."""
        states = {"states_BLD", "pooled_BP", "second_BME"}
        return TextStates.of(
            {name: value.float() if name in states else value for name, value in self.tensors().items()}
        )

    def to(self, device: torch.device | str) -> TextStates:
        """On another device."""
        return TextStates.of({name: value.to(device) for name, value in self.tensors().items()})

    def tensors(self) -> dict[str, Tensor]:
        """Every present tensor by its field's name, as stored in a safetensors file."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in named.items() if value is not None}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> TextStates:
        """The inverse of `tensors`."""
        return cls(**tensors)

    @classmethod
    def cat(cls, parts: Sequence[TextStates]) -> TextStates:
        """The texts of all parts, one after the other; the parts hold the same kinds of tensor."""
        import torch

        named = [part.tensors() for part in parts]
        return cls.of({name: torch.cat([each[name] for each in named]) for name in named[0]})
