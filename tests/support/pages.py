"""What the pages of the project show in fenced blocks, so that tests can run the very text that a reader copies."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    language: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(language: str, page: str = "README.md") -> list[Block]:
    """The fenced blocks of a page in one language, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [
        Block(page, match[1], match[2], text[: match.start()].count("\n") + 1)
        for match in found
        if match[1] == language
    ]


def own_dimension() -> Block:
    """The README's recipe with a dimension that the user brings."""
    [found] = [block for block in blocks("yaml") if "extra:" in block.text]
    return found
