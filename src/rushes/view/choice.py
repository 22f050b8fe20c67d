"""Which clips a page lists, and in which order: what stands in its address, checked, and as a query of the index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

SORTS: Final[Mapping[str, tuple[str, str]]] = {
    "prompt": ("prompt", "text, model, take"),
    "new": ("newest first", "rowid DESC"),
    "best": ("judge's score, best first", "score DESC NULLS LAST, rowid"),
    "worst": ("judge's score, worst first", "score ASC NULLS LAST, rowid"),
    "measured": ("measurement, best first", "measured DESC NULLS LAST, rowid"),
    "weight": ("weight, largest first", "weight DESC NULLS LAST, rowid"),
    "apart": ("judge and measurer furthest apart", "abs(score - measured) DESC NULLS LAST, rowid"),
}
"""What a list can be sorted by: for people, and as SQL."""
_EXACT: Final = ("dimension", "used_for", "model")
_ENDS: Final[Mapping[str, str]] = {
    "score_from": "score >= ?",
    "score_to": "score <= ?",
    "measured_from": "measured >= ?",
    "measured_to": "measured <= ?",
    "weight_from": "weight >= ?",
    "weight_to": "weight <= ?",
}


@dataclass(frozen=True)
class Choice:
    """A filter and an order.

    Example: `Choice(dimension="Composition", score_to=0.5, sort="worst")`.
    """

    dimension: str = ""
    """Quality dimension; empty for all."""
    used_for: str = ""
    """What the clip is for: an origin of prompts, "watch" or "real"; empty for all."""
    model: str = ""
    """Weights that generated it; empty for all."""
    take: int | None = None
    """Which take, from 0; None for all."""
    text: str = ""
    """Words that its prompt has, all of them, in any case."""
    score_from: float | None = None
    score_to: float | None = None
    measured_from: float | None = None
    measured_to: float | None = None
    weight_from: float | None = None
    weight_to: float | None = None
    sort: str = "prompt"
    """One of `SORTS`."""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Choice:
        """What an address asks for; what cannot be read is left out."""
        take, sort = query.get("take", ""), query.get("sort", "")
        return cls(
            dimension=query.get("dimension", ""),
            used_for=query.get("used_for", ""),
            model=query.get("model", ""),
            text=query.get("text", ""),
            score_from=_number(query.get("score_from", "")),
            score_to=_number(query.get("score_to", "")),
            measured_from=_number(query.get("measured_from", "")),
            measured_to=_number(query.get("measured_to", "")),
            weight_from=_number(query.get("weight_from", "")),
            weight_to=_number(query.get("weight_to", "")),
            take=int(take) if take.isascii() and take.isdigit() and len(take) < 9 else None,
            sort=sort if sort in SORTS else "prompt",
        )

    def query(self, **more: object) -> str:
        """The same for an address."""
        values = {name: getattr(self, name) for name in (*_EXACT, "text", "take", *_ENDS, "sort")}
        given = {name: value for name, value in values.items() if value not in ("", None)}
        return urlencode({**{name: each for name, each in given.items() if (name, each) != ("sort", "prompt")}, **more})

    @property
    def order(self) -> str:
        """After ORDER BY."""
        return SORTS[self.sort][1]

    def where(self) -> tuple[str, list[Any]]:
        """A condition on `clips`, and its values."""
        parts, values = ["1"], list[Any]()
        for name in _EXACT:
            if getattr(self, name):
                parts.append(f"{name} = ?")
                values.append(getattr(self, name))
        if self.take is not None:
            parts.append("take = ?")
            values.append(self.take)
        for word in self.text.split()[:20]:
            parts.append("instr(lower(coalesce(text, '')), ?)")
            values.append(word.lower())
        for name, condition in _ENDS.items():
            if getattr(self, name) is not None:
                parts.append(condition)
                values.append(getattr(self, name))
        return " AND ".join(parts), values


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < 1e9 else None
