"""Prompts from a file with one JSON object per line, used in the order of the file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rushes.errors import InputError
from rushes.prompts.rows import BadRow, parse_line, questions_of, text_of
from rushes.recipe.prompts import FixedWriterSpec
from rushes.roles import Brief, Draft, Failed
from rushes.store.files import read_file

_LINE: Final = '{"text": "a red ball rolls to the left", "dimension": "Composition"}'


@dataclass(frozen=True)
class FixedWriter:
    """`PromptWriter` from a list: brief number i of a dimension and origin gets its line number i."""

    drafts: Mapping[tuple[str, str], tuple[Draft, ...]]
    """(dimension, origin) -> drafts in the order of the file."""

    @classmethod
    def read(cls, spec: FixedWriterSpec) -> FixedWriter:
        """Read the list.

        Each line is an object with `text` and `dimension`. `base_text`, `questions` (`{"is it red?": "yes"}`) and
        `origin` ("weakness", the default, "probe" or "held_out") are optional. Blank lines are skipped.

        Raises:
            InputError: the file cannot be read or is empty, or a line cannot be used; the message names the first one.
        """
        path = Path(spec.path)
        try:
            lines = read_file(path).split(b"\n")
        except OSError as error:
            raise InputError(
                "the file of prompts cannot be read",
                expected="a .jsonl file",
                got=spec.path,
                next_step=f"correct prompts.writer.path ({error.strerror})",
            ) from error
        found: dict[tuple[str, str], list[Draft]] = defaultdict(list)
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    key, draft = _draft(line, f"{path.name} line {number}")
                except BadRow as error:
                    raise InputError(f"{path}, line {number}: {error}", next_step="correct that line") from error
                found[key].append(draft)
        if not found:
            raise InputError(f"{path} holds no prompts", next_step=f"write lines like {_LINE}")
        return cls({key: tuple(drafts) for key, drafts in found.items()})

    def write(self, briefs: Sequence[Brief]) -> list[Draft | Failed]:
        """One draft per brief, in order; `Failed` if the list is too short."""
        return [self._one(brief) for brief in briefs]

    def _one(self, brief: Brief) -> Draft | Failed:
        drafts = self.drafts.get((brief.dimension, brief.origin), ())
        if brief.index < len(drafts):
            return drafts[brief.index]
        has = f"the list has {len(drafts)} {brief.origin} prompts for {brief.dimension}"
        return Failed("NoMorePrompts", f"{has}; number {brief.index + 1} was requested")


def _draft(line: bytes, where: str) -> tuple[tuple[str, str], Draft]:
    row = parse_line(line)
    unknown = sorted(set(row) - {"text", "base_text", "dimension", "questions", "origin"})
    if unknown:
        raise BadRow("broken_row", f"unknown entries {unknown!r}")
    text = text_of(row, ("text",), "missing_caption")
    dimension = text_of(row, ("dimension",), "broken_row")
    base = text_of(row, ("base_text",), "broken_row") if "base_text" in row else text
    origin = row.get("origin", "weakness")
    if origin not in ("weakness", "probe", "held_out"):
        raise BadRow("broken_row", f"expected origin 'weakness', 'probe' or 'held_out', got {origin!r}")
    return (dimension, origin), Draft(text, base, where, questions_of(row.get("questions"), dimension))
