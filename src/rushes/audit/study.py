"""A user study as a folder: blind pairs of a run's two models, for people to choose between, in one offline page.

Each pair is of one prompt and one seed. Which side a model is on is drawn at random for each pair, and no name of a
model is in the folder. The page writes a CSV of preferences (`rushes.judge.labels`); `rushes judge people` reads it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from rushes.errors import InputError, StoreError, command, resume_command
from rushes.judge.labels import key_name
from rushes.recipe.dimensions import known
from rushes.records import Clip
from rushes.store.files import make_folder, write_atomic
from rushes.store.identity import content_hash
from rushes.store.recipe_copy import recipe_of
from rushes.store.run import Run
from rushes.store.video import write_video

PAGE: Final = "index.html"
ASKED: Final = "Each pair shows the same text. Say which of the two videos is the better one."
"""What people are asked, unless the study asks something else."""
_LONG_SIDE_PX: Final = 256
"""Clips smaller than this are enlarged, so that people can see them."""


@dataclass(frozen=True)
class BlindPair:
    """Two clips of one prompt and seed, one of each model, in the order in which they are shown."""

    first: Clip
    second: Clip
    text: str
    """The prompt."""


def study_pairs(run: Run, num: int, seed: int) -> tuple[BlindPair, ...]:
    """Pairs of the two models that a finished run compares, in random order.

    Args:
        run: an open run.
        num: prompts of each dimension at most, one pair of each.
        seed: of the choice, the order, and the sides.

    Raises:
        StoreError: the run has compared nothing.
        InputError: the two models share no prompt and seed.
    """
    scorecard = run.scorecard()
    if scorecard is None:
        raise StoreError(
            f"{run.home} has no clips of a base and a tuned model to compare",
            expected="a finished run with a comparison",
            next_step=f"continue it: {resume_command(run.home)}",
        )
    groups = {each.name for each in known(recipe_of(run.home).diagnose) if each.group}
    prompts = {prompt.key: prompt for prompt in run.prompts.all() if prompt.origin == "held_out"}
    sides = [
        {
            (clip.prompt_key, clip.seed_index): clip
            for clip in run.clips.all()
            if clip.model == model and clip.prompt_key in prompts and clip.video and clip.dimension not in groups
        }
        for model in (scorecard.base_model, scorecard.tuned_model)
    ]
    rng = np.random.default_rng(seed)
    places = _chosen(sorted(sides[0].keys() & sides[1].keys()), sides[0], num, rng)
    if not places:
        raise InputError(
            f"the base and the tuned model of {run.home} share no prompt and seed",
            expected="a run that compares the two",
            next_step=f"see what it holds: {command('status', run.home)}",
        )
    pairs = []
    for place in places:
        pairs.append(_blind(sides[0][place], sides[1][place], prompts[place[0]].text, rng))
    return tuple(pairs)


def _blind(one: Clip, other: Clip, text: str, rng: np.random.Generator) -> BlindPair:
    """Two clips on sides drawn at random."""
    return BlindPair(one, other, text) if rng.random() < 0.5 else BlindPair(other, one, text)


def take_pairs(run: Run, num: int, seed: int) -> tuple[BlindPair, ...]:
    """Every two takes of training prompts, in random order: what people choose can then be the judge.

    Args:
        run: an open run.
        num: prompts of each dimension at most.
        seed: of the choice, the order, and the sides.

    Raises:
        InputError: no training prompt has two takes by one model.
    """
    prompts = {prompt.key: prompt for prompt in run.prompts.all() if prompt.origin in ("weakness", "caption")}
    takes: dict[tuple[str, str], list[Clip]] = {}
    for clip in run.clips.all():
        if clip.origin == "model" and clip.prompt_key in prompts and clip.video is not None:
            takes.setdefault((clip.prompt_key, clip.model), []).append(clip)
    rng, left = np.random.default_rng(seed), dict[str, int]()
    groups = [sorted(each, key=lambda clip: clip.seed_index) for _, each in sorted(takes.items()) if len(each) > 1]
    pairs = []
    for group in (groups[int(i)] for i in rng.permutation(len(groups))):
        name = group[0].dimension
        if left.setdefault(name, num) > 0:
            left[name] -= 1
            text = prompts[group[0].prompt_key].text
            pairs += [_blind(one, other, text, rng) for one, other in itertools.combinations(group, 2)]
    if not pairs:
        raise InputError(
            f"{run.home} has no two takes of a training prompt",
            expected="generate.num_takes of 2 or more, and clips that are generated",
            next_step=f"see what it holds: {command('status', run.home)}",
        )
    return tuple(pairs)


_Place = tuple[str, int]
"""A prompt and a take."""


def _chosen(shared: Sequence[_Place], clips: dict[_Place, Clip], num: int, rng: np.random.Generator) -> list[_Place]:
    """One take of each prompt, at most `num` prompts of each dimension, in random order."""
    left: dict[str, int] = {}
    taken: set[str] = set()
    found = []
    for place in (shared[int(i)] for i in rng.permutation(len(shared))):
        name = clips[place].dimension
        if place[0] not in taken and left.get(name, num) > 0:
            taken.add(place[0])
            left[name] = left.get(name, num) - 1
            found.append(place)
    return found


def write_study(folder: Path, run: Run, pairs: Iterable[BlindPair], ask: str = ASKED) -> Path:
    """Write the clips and the page.

    Args:
        folder: exists and is empty.
        run: where the clips are.
        pairs: what to show, in order.
        ask: the question, in words.

    Returns:
        The page.

    Raises:
        StoreError: disk full, read-only.
    """
    import jinja2

    make_folder(folder / "clips")
    shown = []
    for number, pair in enumerate(pairs, 1):
        files = []
        for side, clip in (("left", pair.first), ("right", pair.second)):
            frames = run.blobs.read_video(clip.frames)
            files.append(f"clips/{number:03d}-{side}.mp4")
            write_video(folder / files[-1], frames, clip.fps, scale=max(1, _LONG_SIDE_PX // max(frames.shape[1:3])))
        names = {"left": key_name(pair.first.key), "right": key_name(pair.second.key)}
        shown.append({**names, "text": pair.text, "left_file": files[0], "right_file": files[1]})
    study = content_hash([[each["left"], each["right"]] for each in shown])[:12]
    loader = jinja2.PackageLoader("rushes.audit", "templates")
    page = jinja2.Environment(loader=loader, autoescape=True).get_template("study.html.j2")
    write_atomic(folder / PAGE, page.render(pairs=shown, ask=ask, study=study).encode("utf-8", "replace"))
    return folder / PAGE
