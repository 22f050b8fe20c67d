"""A run's clips as an ordinary video dataset: a folder of mp4 files for each split, tables and a card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from rushes.errors import StoreError, command
from rushes.export.columns import AskedRow, ClipRow, RatedRow, VotedRow, write_lines, write_split
from rushes.export.dataset_card import render_dataset_card
from rushes.export.folder import new_folder
from rushes.export.source import SHORT
from rushes.records import Answer, Clip, Prompt, Rating, Sample, Score, Scored, Vote
from rushes.store.run import Run
from rushes.store.video import write_video

Reply = TypeVar("Reply", Answer, Rating, Vote)
Which = Literal["trained", "generated", "held_out", "all"]
"""`trained`: the clips of the training data, with their weights, real clips too; `generated`: all clips of training
prompts; `held_out`: those of the final comparison; `all`: every clip of the run."""


@dataclass(frozen=True)
class _Uses:
    """How the rounds used the clips: from the run's derived records."""

    samples: Mapping[str, tuple[int, Sample]]
    """By clip: the last round that trained on it, from 1, and its weight in that round."""
    scores: Mapping[str, Score]
    """The judge's, by clip."""


@dataclass(frozen=True)
class Said:
    """What the judges said, by clip; a vote by the clip that was shown first."""

    answers: Mapping[str, Sequence[Answer]] = field(default_factory=dict[str, Sequence[Answer]])
    ratings: Mapping[str, Sequence[Rating]] = field(default_factory=dict[str, Sequence[Rating]])
    votes: Mapping[str, Sequence[Vote]] = field(default_factory=dict[str, Sequence[Vote]])


def export_dataset(
    run: Run, target: Path, which: Which = "trained", *, lossless: bool = False, on_clip: Callable[[int, int], None]
) -> int:
    """Write `train/`, `held_out/` and `probe/` with mp4 files and a table each, `metadata.jsonl` and a card.

    Args:
        run: an open run; it need not be finished.
        target: a new or empty folder.
        which: which clips.
        lossless: True keeps every pixel, in mp4 files that FFmpeg can read and browsers cannot.
        on_clip: called with the number of clips written and the total.

    Returns:
        How many clips were written; at least one.

    Raises:
        StoreError: the run has no such clips.
        BlobCorrupt: a stored clip is damaged.
        InputError: the target is not empty.
    """
    prompts = {prompt.key: prompt for prompt in run.prompts.all()}
    uses = _uses_of(run)
    clips = _chosen(run.clips.all(), prompts, uses, which)
    if not clips:
        raise StoreError(
            f"{run.home} has no clips to export",
            expected=f"clips of the kind {which!r}",
            got=f"{run.clips.num_records()} clips in all, {len(uses.samples)} of them trained on",
            next_step=f"see the run's progress: {command('status', run.home)}; or use --clips all",
        )
    said = Said(_by_clip(run.answers.all()), _by_clip(run.ratings.all()), _by_clip(run.votes.all()))
    with new_folder(target) as folder:
        rows: list[ClipRow] = []
        for number, clip in enumerate(clips, start=1):
            prompt = prompts[clip.prompt_key]
            name = f"{_split_of(prompt)}/{clip.key[: 2 * SHORT]}.mp4"
            write_video(folder / name, run.blobs.read_video(clip.frames), clip.fps, lossless=lossless)
            rows.append(clip_row(name, clip, prompt, uses.samples, uses.scores, said))
            on_clip(number, len(clips))
        write_lines(folder, rows)
        num_clips = Counter(row["split"] for row in rows)
        for split in num_clips:
            write_split(folder / split, [_inside(row) for row in rows if row["split"] == split])
        card = render_dataset_card(run.home.resolve().name, num_clips, run.header)
        (folder / "README.md").write_text(card, encoding="utf-8")
    return len(clips)


def _split_of(prompt: Prompt) -> str:
    """Only what training prompts gave is for training."""
    return "train" if prompt.origin in ("weakness", "caption") else prompt.origin


def _inside(row: ClipRow) -> ClipRow:
    """The row as the table in its split's folder has it."""
    return {**row, "file_name": row["file_name"].removeprefix(f"{row['split']}/")}


def clip_row(
    file_name: str,
    clip: Clip,
    prompt: Prompt,
    samples: Mapping[str, tuple[int, Sample]],
    scores: Mapping[str, Score],
    said: Said,
) -> ClipRow:
    """One clip with everything that the run records about it."""
    number, sample = samples.get(clip.key, (None, None))
    outcome = scores[clip.key].outcome if clip.key in scores else None
    is_scored = isinstance(outcome, Scored)
    return ClipRow(
        file_name=file_name,
        caption=prompt.text,
        base_caption=prompt.base_text,
        dimension=clip.dimension,
        split=_split_of(prompt),
        origin="real" if clip.origin == "real" else prompt.origin,
        generator=clip.model,
        prompt_id=prompt.key,
        clip_id=clip.key,
        seed=clip.seed if clip.origin == "model" else None,
        take=clip.seed_index,
        num_frames=clip.num_frames,
        fps=clip.fps,
        width=clip.width_px,
        height=clip.height_px,
        score=outcome.value if isinstance(outcome, Scored) else None,
        score_unit=outcome.unit if isinstance(outcome, Scored) else None,
        unscored_reason=None if is_scored or outcome is None else getattr(outcome, "reason", None),
        weight=sample.weight if sample is not None else None,
        round=number,
        sampler=clip.sampler.model_dump_json() if clip.sampler is not None else None,
        sha256=clip.frames.sha256,
        answers=[
            AskedRow(
                question=answer.question.text,
                expected=answer.question.expected,
                p_yes=answer.p_yes,
                unscored_reason=answer.unscored_reason,
            )
            for answer in said.answers.get(clip.key, ())
        ],
        ratings=[
            RatedRow(scale=each.scale, unit=each.unit, value=each.value, unscored_reason=each.unscored_reason)
            for each in said.ratings.get(clip.key, ())
        ],
        votes=[
            VotedRow(other_clip_id=each.other_key, p_preferred=each.p_first, unscored_reason=each.unscored_reason)
            for each in said.votes.get(clip.key, ())
        ],
    )


def _uses_of(run: Run) -> _Uses:
    samples: dict[str, tuple[int, Sample]] = {}
    scores: dict[str, Score] = {}
    number = 0
    while (found := run.read_derived(f"samples-{number}", Sample)) is not None:
        samples.update({sample.clip_key: (number + 1, sample) for sample in found})
        judged = run.read_derived(f"scores-{number}", Score) or []
        scores.update({score.clip_key: score for score in judged})
        number += 1
    return _Uses(samples, scores)


def _chosen(clips: Iterable[Clip], prompts: Mapping[str, Prompt], uses: _Uses, which: Which) -> list[Clip]:
    def is_wanted(clip: Clip) -> bool:
        origin = prompts[clip.prompt_key].origin
        if which == "trained":
            return clip.key in uses.samples
        if which == "generated":
            return clip.origin == "model" and origin in ("weakness", "caption")
        return which == "all" or origin == which

    wanted = [clip for clip in clips if is_wanted(clip)]
    # Training data is exported completely or not at all; otherwise clips stored only as latents are left out.
    return wanted if which == "trained" else [clip for clip in wanted if clip.video is not None] or wanted


def _by_clip(replies: Iterable[Reply]) -> dict[str, list[Reply]]:
    found: dict[str, list[Reply]] = {}
    for reply in replies:
        found.setdefault(reply.clip_key, []).append(reply)
    return found
