"""Where votes are: `votes/<study>/` of a run folder, with the study, the page that people see, and what they said.

    study.json             which clips are on which side: not for raters
    page/                  index.html and clips/: all that raters get
    replies/<name>.json    one file for each rater
    result.json            the last result
    preferences.csv        the same as labels for the judge `people`

Legend: T frames, H height, W width.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from pydantic import ValidationError

from rushes.errors import FileCorrupt, InputError, command
from rushes.records import Clip
from rushes.store.files import explained, make_folder, write_atomic
from rushes.store.identity import seed_from_key
from rushes.store.run import Run
from rushes.store.sums import read_summed, write_summed
from rushes.store.video import write_video
from rushes.vote.records import ShownPair, Study

if TYPE_CHECKING:
    from rushes.roles import Frames

VOTES: Final = "votes"
STUDY, PAGE, INDEX = "study.json", "page", "index.html"
_LONG_SIDE_PX: Final = 320
"""Clips smaller than this are enlarged, so that people can see them."""
_NOISE: Final = 0.9
"""Share of noise in the clip of a check: nothing of it can be recognised."""


def folder_of(home: Path, study: str) -> Path:
    """The folder of a study."""
    return home / VOTES / study


def studies(home: Path) -> list[Study]:
    """All studies of a run, by name.

    Raises:
        FileCorrupt: one is not what was written.
    """
    return [read_study(home, path.parent.name) for path in sorted((home / VOTES).glob(f"*/{STUDY}"))]


def read_study(home: Path, study: str) -> Study:
    """One study.

    Raises:
        FileCorrupt: it is not what was written.
    """
    path = folder_of(home, study) / STUDY
    try:
        found = Study.model_validate_json(read_summed(path, home))
    except ValidationError as error:
        raise FileCorrupt(home, path, f"damaged, or of another version ({error.errors()[0]['msg']})") from error
    if found.study != study:
        raise FileCorrupt(home, path, "of another study")
    return found


def the_study(home: Path, name: str | None = None) -> Study:
    """The study that is meant: the only one, or the one whose name begins so.

    Raises:
        InputError: there is none, or several.
    """
    known = sorted(path.parent.name for path in (home / VOTES).glob(f"*/{STUDY}"))
    found = [each for each in known if each.startswith(name or "")]
    if len(found) != 1:
        raise InputError(
            f"{home} has {'no study' if not found else 'several studies'} of that name"
            if name
            else f"{home} has {'no study yet' if not found else 'several studies'}",
            expected=f"one of {', '.join(known)}" if known else "a study to vote in",
            got=name if name else known,
            next_step="name one of them with --study" if known else f"write one: {command('vote', 'export', home)}",
        )
    return read_study(home, found[0])


def keep_study(run: Run, study: Study) -> Path:
    """Write a study and its page into the run folder, unless they are there; the page comes first, the study last.

    Raises:
        BlobCorrupt: stored frames are damaged.
        StoreError: disk full, read-only.
    """
    folder = folder_of(run.home, study.study)
    if not (folder / STUDY).is_file():
        write_page(folder / PAGE, run, study)
        write_summed(folder / STUDY, f"{study.model_dump_json(indent=1)}\n".encode())
    return folder


def copy_page(home: Path, study: Study, target: Path) -> Path:
    """Copy what raters get into a folder that exists and is empty; returns the page."""
    source = folder_of(home, study.study) / PAGE
    with explained(target):
        shutil.copytree(source, target, dirs_exist_ok=True, copy_function=shutil.copyfile)
    return target / INDEX


def clip_file(pair: ShownPair, side: str) -> str:
    """Name of a clip's file in the page's folder."""
    return f"clips/{pair.name}-{side}.mp4"


def write_page(folder: Path, run: Run, study: Study) -> Path:
    """Write the clips and the page.

    All files get one time, so that dates do not tell either which model a clip is of.
    """
    make_folder(folder / "clips")
    clips = {each.key: each for each in run.clips.all()}
    for pair in study.pairs:
        for side, frames, fps in _sides(run, clips, pair):
            path = folder / clip_file(pair, side)
            write_video(path, frames, fps, scale=max(1, _LONG_SIDE_PX // max(frames.shape[1:3])))
            os.utime(path, (0, 0))
    write_atomic(folder / INDEX, page_of(study).encode("utf-8", "replace"))
    return folder / INDEX


def _sides(run: Run, clips: Mapping[str, Clip], pair: ShownPair) -> list[tuple[str, Frames, float]]:
    """Side, frames and rate of both clips of a pair."""
    left, right = clips[pair.left], clips[pair.right]
    shown = {"left": run.blobs.read_video(left.frames), "right": run.blobs.read_video(right.frames)}
    for side in ("left", "right"):
        if pair.check == f"noise_{side}":
            shown[side] = _noisy(shown[side], seed_from_key(pair.left, pair.name))
    return [("left", shown["left"], left.fps), ("right", shown["right"], right.fps)]


def _noisy(frames_THWC: Frames, seed: int) -> Frames:
    noise = np.random.default_rng(seed).integers(0, 256, frames_THWC.shape)
    return np.rint((1 - _NOISE) * frames_THWC + _NOISE * noise).astype(np.uint8)


# ---------------------------------------------------------------------------------------------- the page


def for_raters(study: Study) -> dict[str, object]:
    """What the page knows of a study: no key of a clip, no dimension's check, no model."""
    return {
        "study": study.study,
        "questions": {each.name: {"text": each.text, "hint": each.hint} for each in study.questions},
        "pairs": [
            {
                "name": pair.name,
                "text": pair.text,
                "left": clip_file(pair, "left"),
                "right": clip_file(pair, "right"),
                "questions": list(pair.questions),
            }
            for pair in study.pairs
        ],
    }


def page_of(study: Study) -> str:
    """The offline page: it keeps votes in the browser and saves them as a file. All text is escaped."""
    import jinja2
    from markupsafe import Markup

    script, style = (files("rushes.vote").joinpath(f"templates/{name}").read_text("utf-8") for name in _SOURCES)
    data = json.dumps(for_raters(study), ensure_ascii=True).replace("<", "\\u003c").replace(">", "\\u003e")
    environment = jinja2.Environment(loader=jinja2.PackageLoader("rushes.vote", "templates"), autoescape=True)
    return environment.get_template("vote.html.j2").render(
        data=Markup(data),
        script=Markup(script),
        style=Markup(style),
        script_hash=_hash(script),
        style_hash=_hash(style),
    )


_SOURCES: Final = ("vote.js", "vote.css")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
