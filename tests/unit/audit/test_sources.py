"""Where an audit's clips come from: rendered, a folder, a run; and what is said when there are none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rushes.audit.sources import Choice, find_clips
from rushes.errors import InputError
from rushes.recipe.base import ShapeSpec
from rushes.recipe.load import load_recipe
from rushes.roles import Video
from rushes.store.run import Run
from rushes.store.video import write_video
from rushes_sandbox.real_clips import write_clip_folder
from tests.support.judged import make_clip, make_prompt, make_question

SHAPE = ShapeSpec()


def test_the_sandbox_renders_the_same_clips_again_and_none_twice() -> None:
    first, again, other = (find_clips("sandbox", Choice(2, seed=seed), SHAPE) for seed in (0, 0, 1))
    assert first.is_truth_known and len(first.cases) == 16 and len({each.dimension for each in first.cases}) == 8
    assert [each.text for each in first.cases] == [each.text for each in again.cases]
    assert [each.text for each in first.cases] != [each.text for each in other.cases]
    assert all(each.questions for each in first.cases)
    only = find_clips("sandbox", Choice(3, ("Mechanics",)), SHAPE)
    assert [each.dimension for each in only.cases] == ["Mechanics"] * 3


def test_a_folder_with_metadata(tmp_path: Path) -> None:
    write_clip_folder(tmp_path / "clips", 3)
    with (tmp_path / "clips" / "metadata.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"file_name": "gone.mp4", "text": "a red circle"}) + "\n")
    write_video(tmp_path / "clips" / "plain.mp4", np.zeros((17, 64, 64, 3), np.uint8), 8.0)
    with (tmp_path / "clips" / "metadata.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"file_name": "plain.mp4", "text": "nothing"}) + "\n")
    found = find_clips(str(tmp_path / "clips"), Choice(), SHAPE)
    assert found.is_truth_known and {each.name for each in found.cases} == {f"clip_000{i}.mp4" for i in range(3)}
    assert any("gone.mp4" in note for note in found.notes) and "1 clips have no questions" in found.notes


def make_run(home: Path, num_prompts: int = 4, takes: int = 3) -> list[str]:
    keys = []
    with Run.open(home, load_recipe("tiny")) as run:
        for number in range(num_prompts):
            question = make_question("is it red?")
            prompt = make_prompt(f"prompt {number}", question)
            run.prompts.land([prompt])
            for take in range(takes):
                clip = make_clip(prompt, take, brightness=10 * number + take, blobs=run.blobs)
                run.clips.land([clip])
                keys.append(clip.key)
        group = make_prompt("group", make_question("is it red?", dimension="Diversity"), dimension="Diversity")
        run.prompts.land([group])
        run.clips.land([make_clip(group, blobs=run.blobs)])
    return keys


def test_a_run_gives_clips_of_as_many_prompts_as_there_are(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    found = find_clips(str(tmp_path / "run"), Choice(4), SHAPE)
    assert not found.is_truth_known and len({each.prompt for each in found.cases}) == len(found.cases) == 4
    assert {each.dimension for each in found.cases} == {"Mechanics"}, "dimensions of groups are not asked about clips"
    video = found.cases[0].load()
    assert isinstance(video, Video) and video.frames_THWC.shape == (3, 4, 4, 3)
    assert len(find_clips(str(tmp_path / "run"), Choice(100), SHAPE).cases) == 12
    with pytest.raises(InputError, match="has usable questions"):
        find_clips(str(tmp_path / "run"), Choice(), SHAPE, "real")


def test_labelled_clips_come_first(tmp_path: Path) -> None:
    keys = make_run(tmp_path / "run")
    labels = tmp_path / "labels.csv"
    labels.write_text("clip,question,answer\n" + "".join(f"{key},is it red?,yes\n" for key in keys[:3]))
    found = find_clips(str(tmp_path / "run"), Choice(3, labels=labels), SHAPE)
    assert {each.name for each in found.cases} == {key[:12] for key in keys[:3]}


@pytest.mark.parametrize("make", [False, True])
def test_no_clips_at_all_is_told_with_what_to_type(tmp_path: Path, make: bool) -> None:
    folder = tmp_path / "nothing"
    if make:
        folder.mkdir()
    with pytest.raises(InputError) as told:
        find_clips(str(folder), Choice(), SHAPE)
    assert "rushes judge audit sandbox" in str(told.value)


def test_an_unknown_dimension_is_told() -> None:
    with pytest.raises(InputError, match="has usable questions"):
        find_clips("sandbox", Choice(2, ("Compositon",)), SHAPE)
