"""How the screen's rules part everyday prompts: `python -m tests.support.everyday` prints what docs/screen.md says.

The prompts are in tests/unit/prompts/everyday/. Rules may be developed on the development half. On the test half they
are only counted: what they get wrong there is not printed, and must not be looked at to change them. The later set has
another writer; it was counted once, and then developed on as well. With names of text files it lists what the rules
refuse of the lines of these.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import yaml

from rushes.prompts.plain_english import PlainEnglish

FOLDER: Final = Path(__file__).parents[1] / "unit" / "prompts" / "everyday"
Half = Literal["development", "test", "later"]


@dataclass(frozen=True)
class Everyday:
    """One prompt of the collection."""

    text: str
    is_possible: bool
    kind: str
    """What is wrong with it, or seems to be."""


@dataclass(frozen=True)
class Rates:
    """What the rules did with one half."""

    num_impossible: int
    num_possible: int
    num_found: int
    """Impossible prompts that were refused."""
    num_lost: int
    """Possible prompts that were refused."""

    def __str__(self) -> str:
        refused = self.num_found + self.num_lost
        precision = f"precision {self.num_found / refused:.2f}" if refused else "no precision: nothing was refused"
        return (
            f"{self.num_found} of {self.num_impossible} impossible refused, {self.num_lost} of {self.num_possible} "
            f"possible refused; {precision}, recall {self.num_found / self.num_impossible:.2f}"
        )


def prompts(half: Half) -> list[Everyday]:
    """The prompts of one half, or of the later set, in the order of its file."""
    name = "later_set.yaml" if half == "later" else f"{half}_half.yaml"
    held = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return [
        Everyday(text, verdict == "possible", kind)
        for verdict, kinds in held.items()
        for kind, texts in kinds.items()
        for text in texts
    ]


def rates(chosen: list[Everyday]) -> Rates:
    """What the rules do with these prompts."""
    refused = [each for each in chosen if PlainEnglish().objection(each.text) is not None]
    num_lost = sum(each.is_possible for each in refused)
    num_possible = sum(each.is_possible for each in chosen)
    return Rates(len(chosen) - num_possible, num_possible, len(refused) - num_lost, num_lost)


def check_lines(files: list[Path]) -> None:
    """Every refused line, and how many different lines there are."""
    texts = {line.strip() for file in files for line in file.read_text(encoding="utf-8").splitlines()} - {""}
    refused = {text: found.detail for text in sorted(texts) if (found := PlainEnglish().objection(text)) is not None}
    for text, detail in refused.items():
        print(f"refused: {text} ({detail})")
    print(f"{len(refused)} of {len(texts)} different lines refused")


def report() -> None:
    """All three; of what the rules are developed on also what was got wrong."""
    for half in ("development", "test", "later"):
        print(f"{half} {'set' if half == 'later' else 'half'}: {rates(prompts(half))}")
    for each in (*prompts("development"), *prompts("later")):
        found = PlainEnglish().objection(each.text)
        if each.is_possible and found is not None:
            print(f"lost: {each.text} ({found.detail})")
        if not each.is_possible and found is None:
            print(f"missed, {each.kind}: {each.text}")


if __name__ == "__main__":
    if sys.argv[1:]:
        check_lines([Path(name) for name in sys.argv[1:]])
    else:
        report()
