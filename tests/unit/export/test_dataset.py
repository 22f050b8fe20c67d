"""A run's clips as a dataset: every line true to the records, and readable by the library that people use."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
import yaml

from rushes.errors import InputError, StoreError
from rushes.export import columns
from rushes.export.columns import COLUMNS, LIST_TYPES, AskedRow, ClipRow, RatedRow, VotedRow
from rushes.export.dataset import Said, clip_row, export_dataset
from rushes.records import Sample, Score, Scored
from rushes.store.run import Run
from rushes.store.video import read_video
from tests.support.judged import make_clip, make_prompt, make_score
from tests.support.tiny_recipe import tiny_recipe


def quiet(done: int, total: int) -> None:
    """Nobody listens."""


def rows_in(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def exported(lora_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dataset") / "out"
    with Run.view(lora_home) as run:
        export_dataset(run, target, "trained", on_clip=quiet)
    return target


def test_every_sample_with_its_score_and_weight(exported: Path, lora_home: Path) -> None:
    rows = {str(row["clip_id"]): row for row in rows_in(exported)}
    with Run.view(lora_home) as run:
        samples = {s.clip_key: s for n in (0, 1) for s in run.read_derived(f"samples-{n}", Sample) or []}
        scores = {s.clip_key: s for n in (0, 1) for s in run.read_derived(f"scores-{n}", Score) or []}
        prompts = {prompt.key: prompt for prompt in run.prompts.all()}
    assert rows.keys() == samples.keys() and len({row["origin"] for row in rows.values()}) > 1
    for key, row in rows.items():
        assert row["weight"] == samples[key].weight
        assert row["caption"] == prompts[samples[key].prompt_key].text
        outcome = scores[key].outcome if key in scores else None
        assert row["score"] == (outcome.value if isinstance(outcome, Scored) else None)
        assert (row["origin"] == "real") == (samples[key].source == "real") == (row["seed"] is None)
    assert {row["round"] for row in rows.values() if row["origin"] == "weakness"} == {1, 2}


def test_clips_are_where_the_table_says_in_the_shape_it_says(exported: Path) -> None:
    for row in rows_in(exported):
        video = read_video(exported / str(row["file_name"]))
        assert video.frames_THWC.shape == (row["num_frames"], row["height"], row["width"], 3)
        assert video.fps == pytest.approx(row["fps"])


def test_datasets_reads_it(exported: Path, tmp_path: Path) -> None:
    """Without decoding: that needs torchcodec, which does not go with every torch."""
    datasets = pytest.importorskip("datasets", reason="pip install -c constraints.txt datasets")
    found = datasets.load_dataset(
        "videofolder", data_dir=str(exported), split="train", cache_dir=str(tmp_path / "cache")
    ).cast_column("video", datasets.Video(decode=False))
    wanted = {row["clip_id"]: row for row in rows_in(exported)}
    assert len(found) == len(wanted)
    for row in found:
        line = wanted[row["clip_id"]]
        assert row["video"]["path"].endswith(str(line["file_name"]))
        assert {name: row[name] for name in line if name != "file_name"} == {
            name: value for name, value in line.items() if name != "file_name"
        }


@pytest.fixture(scope="module")
def everything(lora_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All clips of a run: those of several splits."""
    target = tmp_path_factory.mktemp("all") / "out"
    with Run.view(lora_home) as run:
        export_dataset(run, target, "all", on_clip=quiet)
    return target


def test_the_card_keeps_the_splits_apart(everything: Path, tmp_path: Path) -> None:
    """And the columns have their types where a split has no value at all: no held-out clip has a weight."""
    datasets = pytest.importorskip("datasets", reason="pip install -c constraints.txt datasets")
    found = datasets.load_dataset(str(everything), cache_dir=str(tmp_path / "cache"))
    rows = rows_in(everything)
    assert {name: len(part) for name, part in found.items()} == Counter(row["split"] for row in rows)
    assert {"train", "held_out", "probe"} == set(found)
    assert all(row["weight"] is None for row in rows if row["split"] != "train")
    kinds = {name: kind for name, (kind, _) in COLUMNS.items() if kind != "list" and name != "file_name"}
    for part in found.values():
        assert {name: part.features[name].dtype for name in kinds} == kinds
        assert part.features == found["train"].features
    plain = found["held_out"].cast_column("video", datasets.Video(decode=False))
    assert {row["clip_id"] for row in plain} == {row["clip_id"] for row in rows if row["split"] == "held_out"}
    assert all(Path(row["video"]["path"]).is_file() for row in plain)


def test_who_asks_for_a_folder_of_videos_gets_those_to_train_on(everything: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="pip install -c constraints.txt datasets")
    found = datasets.load_dataset("videofolder", data_dir=str(everything), cache_dir=str(tmp_path / "cache"))
    assert set(found) == {"train"} and set(found["train"]["split"]) == {"train"}


def test_without_pyarrow_the_splits_are_json_and_the_card_tells(
    lora_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "find_spec", lambda name: None)
    with Run.view(lora_home) as run:
        export_dataset(run, tmp_path / "out", "held_out", on_clip=quiet)
    assert not list((tmp_path / "out").rglob("*.parquet"))
    inside = rows_in(tmp_path / "out" / "held_out")
    assert [f"held_out/{row['file_name']}" for row in inside] == [row["file_name"] for row in rows_in(tmp_path / "out")]
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "held_out/metadata.jsonl" in card and "has no type" in card


def test_the_card_explains_every_column_and_leaves_the_licence_open(everything: Path) -> None:
    _, header, text = (everything / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert "license" not in yaml.safe_load(header) and "# license:" in header
    rows = {"answers": AskedRow, "ratings": RatedRow, "votes": VotedRow}
    assert COLUMNS.keys() == get_type_hints(ClipRow).keys() and LIST_TYPES.keys() == rows.keys()
    for column, row in rows.items():
        assert COLUMNS[column][0] == "list" and LIST_TYPES[column].keys() == get_type_hints(row).keys()
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == list(COLUMNS)
    clips = Counter(row["split"] for row in rows_in(everything))
    assert all(f"- `{split}`: {number} clip" in text for split, number in clips.items())
    assert "never train on these" in text


def test_lossless_keeps_every_pixel(lora_home: Path, tmp_path: Path) -> None:
    with Run.view(lora_home) as run:
        export_dataset(run, tmp_path / "out", "held_out", lossless=True, on_clip=quiet)
        clips = {clip.key: clip for clip in run.clips.all()}
        for row in rows_in(tmp_path / "out"):
            stored = run.blobs.read_video(clips[str(row["clip_id"])].video)
            assert np.array_equal(read_video(tmp_path / "out" / str(row["file_name"])).frames_THWC, stored)
            assert row["split"] == "held_out" and row["weight"] is None


def test_what_is_not_known_is_null() -> None:
    prompt = make_prompt("a")
    clip = make_clip(prompt)
    row = clip_row("clips/a.mp4", clip, prompt, {}, {}, Said())
    assert row["score"] is row["weight"] is row["round"] is row["unscored_reason"] is None
    unscored = clip_row("clips/a.mp4", clip, prompt, {}, {clip.key: make_score(clip, None)}, Said())
    assert unscored["score"] is None and unscored["unscored_reason"] == "no idea"
    zero = clip_row("clips/a.mp4", clip, prompt, {}, {clip.key: make_score(clip, 0.0)}, Said())
    assert zero["score"] == 0.0 and zero["unscored_reason"] is None


def test_run_without_clips(model_folder: Path, tmp_path: Path) -> None:
    Run.open(tmp_path / "run", tiny_recipe(model_folder)).close()
    with Run.view(tmp_path / "run") as run, pytest.raises(StoreError, match="no clips to export"):
        export_dataset(run, tmp_path / "out", "trained", on_clip=quiet)
    assert not (tmp_path / "out").exists()


def test_folder_with_something_in_it(lora_home: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with Run.view(lora_home) as run, pytest.raises(InputError, match="not empty"):
        export_dataset(run, tmp_path, "all", on_clip=quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
