"""Preview clips of training: found in the run folder, thinned out, read one at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rushes.errors import UserError
from rushes.report.clips import MAX_BYTES, EmbeddedClip, embed
from rushes.report.data import Preview
from rushes.store.video import read_video

MAX_SHOWN: Final = 7
"""Maximum number of clips per prompt on the page: the first, the last, and some evenly between them."""
MAX_PROMPTS: Final = 4
"""Maximum number of prompts on the page."""
_NAME: Final = re.compile(r"step-\d{6,}-\d+\.mp4")


def find_previews(folders: Sequence[Path], events: Iterable[Mapping[str, object]]) -> tuple[Preview, ...]:
    """The existing clips, in the order of rounds and steps.

    Args:
        folders: one per round, in order; they need not exist.
        events: of the run's log, which has the prompt and step of each file. A file is searched by its name in its
            round's folder and nowhere else: the run folder may have been moved, and a log is only text.
    """
    rounds = {folder.name: number for number, folder in enumerate(folders, start=1)}
    found: dict[Path, Preview] = {}
    for event in events:
        file, step, prompt = (event.get(name) for name in ("file", "step", "prompt"))
        if event.get("event") != "preview" or not (isinstance(file, str) and isinstance(prompt, str)):
            continue
        number, name = rounds.get(Path(file).parent.name), Path(file).name
        if number is None or not isinstance(step, int) or not _NAME.fullmatch(name):
            continue
        path = folders[number - 1] / name
        if path.is_file():
            found[path] = Preview(path, number, step, prompt)
    return tuple(sorted(found.values(), key=lambda each: (each.round_number, each.step, each.path.name)))


@dataclass(frozen=True, eq=False)
class PreviewClip:
    """One clip, ready to be shown."""

    when: str
    """After how many steps, in words."""
    clip: EmbeddedClip | None
    """None if the file cannot be read."""
    problem: str
    """Why it cannot be read; empty if it can."""


def by_prompt(previews: Sequence[Preview], max_bytes: int = MAX_BYTES) -> Iterator[tuple[str, Iterator[PreviewClip]]]:
    """Prompts with their clips; each clip is read on iteration, so that only one at a time is in memory."""
    several = len({each.round_number for each in previews}) > 1
    for prompt, shown in chosen(previews).items():
        yield prompt, (_look(each, several, max_bytes) for each in shown)


def chosen(previews: Sequence[Preview]) -> dict[str, list[Preview]]:
    """The clips that the page shows, by prompt: not every step of a long training."""
    by_prompt: dict[str, list[Preview]] = {}
    for each in previews:
        by_prompt.setdefault(each.prompt, []).append(each)
    return {prompt: thinned(by_prompt[prompt], MAX_SHOWN) for prompt in list(by_prompt)[:MAX_PROMPTS]}


def num_left_out(previews: Sequence[Preview]) -> int:
    """Number of clips that are in the run folder but not on the page."""
    return len(previews) - sum(len(shown) for shown in chosen(previews).values())


def thinned(previews: Sequence[Preview], num: int) -> list[Preview]:
    """At most `num` (2 or more) of a sequence, evenly spaced, including the first and the last."""
    if len(previews) <= num:
        return list(previews)
    return [previews[round(index * (len(previews) - 1) / (num - 1))] for index in range(num)]


def _look(preview: Preview, several_rounds: bool, max_bytes: int) -> PreviewClip:
    when = f"after {preview.step} steps" if preview.step else "before step 1"
    if several_rounds:
        when = f"round {preview.round_number}, {when}"
    try:
        return PreviewClip(when, embed(read_video(preview.path), max_bytes), "")
    except UserError as error:
        return PreviewClip(when, None, str(error))
