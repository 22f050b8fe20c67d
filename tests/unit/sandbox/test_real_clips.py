"""The sandbox's real clips: true captions, and a folder on disk that reads back pixel for pixel."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rushes.errors import InputError, RecipeError
from rushes.prompts.captions import read_clip_folder
from rushes.recipe.base import ShapeSpec
from rushes_sandbox.grammar import DIMENSIONS
from rushes_sandbox.reader.contradictions import objection
from rushes_sandbox.reader.reading import read
from rushes_sandbox.real_clips import sandbox_real_clips, write_clip_folder


def test_a_written_folder_gives_back_the_same_clips(tmp_path: Path) -> None:
    path = write_clip_folder(tmp_path / "clips", num_clips=4, seed=7)
    assert path.name == "metadata.jsonl"
    assert [set(json.loads(line)) for line in path.read_text().splitlines()] == [
        {"file_name", "text", "dimension", "questions"}
    ] * 4
    found = read_clip_folder(tmp_path / "clips", ShapeSpec())
    expected = sandbox_real_clips(4, seed=7)
    assert [row.reason for row in found.rows] == ["whole"] * 4
    for read_back, made in zip(found.clips, expected, strict=True):
        assert (read_back.text, read_back.dimension, read_back.questions) == (made.text, made.dimension, made.questions)
        assert read_back.sha256 == made.sha256
        assert np.array_equal(read_back.load().frames_THWC, made.load().frames_THWC)


def test_clips_are_by_seed_and_number_and_take_the_dimensions_in_turn() -> None:
    many = sandbox_real_clips(12, seed=1)
    assert [clip.dimension for clip in many] == [*DIMENSIONS, *DIMENSIONS[:3]]
    assert [clip.sha256 for clip in sandbox_real_clips(3, seed=1)] == [clip.sha256 for clip in many[:3]]
    assert len({clip.sha256 for clip in (*many, *sandbox_real_clips(12, seed=2))}) == 24
    assert ["background" in clip.text for clip in many] == [False] * 9 + [True] * 3
    assert all("background" in clip.text for clip in sandbox_real_clips(12, seed=1, detailed=True))
    only = sandbox_real_clips(3, dimensions=["Mechanics"])
    assert {clip.dimension for clip in only} == {"Mechanics"}
    for clip in many:
        assert objection(read(clip.text)) is None
        assert {question.expected for question in clip.questions} == {"yes", "no"}


def test_the_caption_names_the_colour_that_is_seen() -> None:
    (clip,) = sandbox_real_clips(1, seed=3, dimensions=["Simple"])
    (noun,) = read(clip.text).nouns
    from rushes_sandbox.scene import COLOUR_RGB

    frames = clip.load().frames_THWC.astype(int)
    near = {name: np.abs(frames - rgb).sum(-1).min() for name, rgb in COLOUR_RGB.items()}
    assert min(near, key=lambda name: near[name]) == noun.colours[0]


def test_another_shape_is_rendered_as_wanted() -> None:
    (clip,) = sandbox_real_clips(1, shape=ShapeSpec(height_px=32, width_px=32, num_frames=9, fps=4.0))
    video = clip.load()
    assert (video.frames_THWC.shape, video.fps) == ((9, 32, 32, 3), 4.0)
    with pytest.raises(RecipeError, match="square"):
        sandbox_real_clips(1, shape=ShapeSpec(height_px=32, width_px=64))


def test_a_folder_with_anything_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.mp4").write_text("precious")
    with pytest.raises(InputError, match="is not empty"):
        write_clip_folder(tmp_path, num_clips=1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.mp4"]
