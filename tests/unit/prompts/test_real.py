"""Real clips of a run: their captions are screened like every text that is trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rushes.context import Context
from rushes.families.folder import word_level_vocabulary
from rushes.prompts.clip_check import check_clip_folder
from rushes.prompts.clip_rows import REAL_CLIPS, ClipRow
from rushes.prompts.evaluation import Evaluation
from rushes.prompts.real import real_material
from rushes.prompts.screen import Reads
from rushes.prompts.stage import write
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.prompts import RealClipsSpec
from rushes.recipe.recipe import Recipe
from rushes.records import Prompt
from rushes.store.run import Run
from rushes.store.video import write_video
from tests.support.sandbox_recipe import prompts_spec, sandbox_recipe

RECIPE = sandbox_recipe(prompts=prompts_spec(real=RealClipsSpec(source=PluginSpec(use="sandbox"), num_clips=4)))


def captions(home: Path, evaluation: tuple[Prompt, ...]) -> tuple[Prompt, ...]:
    with Run.open(home, RECIPE) as run:
        return real_material(Context(RECIPE, run), Evaluation((), evaluation)).captions


def test_a_caption_that_an_evaluation_prompt_repeats_is_not_trained_on(tmp_path: Path) -> None:
    unguarded = captions(tmp_path / "first", ())
    same = unguarded[0].model_copy(update={"origin": "held_out", "key": "ab" * 32})

    guarded = captions(tmp_path / "second", (same,))

    assert unguarded[0].text not in {prompt.text for prompt in guarded}
    assert len(guarded) == len(unguarded) == 4


WORDS = ("a red circle moves to the left", "a blue square grows")


def folder_recipe(folder: Path, **real: object) -> Recipe:
    spec = RealClipsSpec(folder=str(folder), **{"num_clips": 8, **real})  # type: ignore[arg-type]
    return sandbox_recipe(prompts=prompts_spec(real=spec, num_weakness=0, num_caption=8))


def films(folder: Path, *files: tuple[str, str, int]) -> Path:
    """Files of seeded noise, each with a caption."""
    folder.mkdir()
    for name, text, seed in files:
        frames = np.random.default_rng(seed).integers(0, 256, (17, 64, 64, 3), dtype=np.uint8)
        write_video(folder / f"{name}.mp4", frames, 8.0, lossless=True)
        (folder / f"{name}.txt").write_text(text)
    return folder


def test_different_clips_with_one_caption_are_all_kept_and_copies_are_not(tmp_path: Path) -> None:
    folder = films(tmp_path / "in", ("a", WORDS[0], 1), ("b", WORDS[0], 2), ("c", WORDS[0], 1), ("d", WORDS[1], 1))
    with Run.open(tmp_path / "home", folder_recipe(folder)) as run:
        context = Context(folder_recipe(folder), run)
        found = real_material(context, Evaluation((), ()))
        rows = run.read_derived(REAL_CLIPS, ClipRow) or []
        again = write(context, (), Evaluation((), ()), found.captions, 0)
    assert [prompt.text for prompt in found.captions] == [WORDS[0], WORDS[0], WORDS[1]]
    assert len({clip.key for clip in found.clips}) == 3
    captioned = [(row.name, row.outcome, row.reason) for row in rows]
    assert captioned == [
        ("a.mp4", "used", "whole"), ("b.mp4", "used", "whole"), ("c.mp4", "dropped", "same_clip"),
        ("d.mp4", "used", "whole"),
    ]  # fmt: skip
    assert "the same pixels and caption as 'a.mp4'" in rows[2].detail
    assert [prompt.text for prompt in again] == list(WORDS), "clips are generated once for each different caption"


def test_a_check_without_a_run_tells_what_a_run_does(tmp_path: Path) -> None:
    folder = films(tmp_path / "in", ("a", WORDS[0], 1), ("b", "a snowman melts", 2), ("c", WORDS[0], 1))
    recipe = folder_recipe(folder)
    with Run.open(tmp_path / "home", recipe) as run:
        real_material(Context(recipe, run), Evaluation((), ()))
        rows = run.read_derived(REAL_CLIPS, ClipRow) or []
    checked = check_clip_folder(str(folder), recipe, Reads(word_level_vocabulary(recipe.base)))
    assert checked.rows == tuple(rows)
    assert [row.reason for row in rows] == ["whole", "unknown_word", "same_clip"]
    assert [clip.name for clip in checked.clips] == list(checked.sources) == ["a.mp4"]


def test_a_large_crop_is_warned_about_in_a_run(tmp_path: Path) -> None:
    folder = films(tmp_path / "in", ("a", WORDS[0], 1))
    frames = np.random.default_rng(0).integers(0, 256, (17, 200, 64, 3), dtype=np.uint8)
    write_video(folder / "a.mp4", frames, 8.0, lossless=True)
    recipe = folder_recipe(folder)
    with Run.open(tmp_path / "home", recipe) as run, pytest.warns(UserWarning, match="more than 50% of their picture"):
        real_material(Context(recipe, run), Evaluation((), ()))
