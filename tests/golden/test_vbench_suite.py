"""The benchmark's own files against ours: names, editions, aggregation. They lie beside the checkout, not in it."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from rushes.dimensions import catalogue
from rushes.prompts.similarity import near_pairs
from rushes_vbench.catalogue import facts
from rushes_vbench.names import parse, stem
from rushes_vbench.results import read_results
from rushes_vbench.suite import FILE, Suite, read_suite, suite_of
from rushes_vbench.totals import official_totals
from tests.support.sandbox_recipe import VBENCH_CATALOGUE

REWORDED = "An elephant is in front of a car, then the elephant walks to back of the car."
BEFORE = "An elephant is in front of a car, then the elephant walks to the back of the car."
"""The one prompt of the repository that the wheel words otherwise, and how."""


@cache
def suite_in(folder: Path) -> Suite:
    return read_suite(folder)


@pytest.fixture
def data(shared_data: Path) -> Path:
    return shared_data / "vbench2"


@pytest.fixture
def suite(data: Path) -> Suite:
    return suite_in(data)


def test_repository_is_known_by_its_content(suite: Suite) -> None:
    assert suite.edition == "repository" and suite.notes == ()
    assert len(suite.entries) == 1230 and len(suite.prompts) == 1013


def test_order_of_the_file_does_not_matter_but_any_other_word_does(data: Path) -> None:
    rows = json.loads((data / FILE).read_bytes())
    assert suite_of(json.dumps(rows[::-1]).encode(), "copy").edition == "repository"
    rows[7]["prompt_en"] += "!"
    changed = suite_of(json.dumps(rows).encode(), "copy")
    assert changed.edition == "modified" and "differ from both known editions" in changed.notes[0]


def test_wheel_is_told_apart_and_has_one_prompt_twice(data: Path) -> None:
    wheel = suite_of((data / FILE).read_bytes().replace(REWORDED.encode(), BEFORE.encode()), "wheel")
    assert wheel.edition == "wheel" and wheel.notes == ()
    assert [
        prompt for prompt, num in Counter(e.prompt for e in wheel.of("Dynamic_Spatial_Relationship")).items() if num > 1
    ] == [BEFORE]
    assert len(wheel.entries) == 1230 and len(wheel.prompts) == 1012
    assert len(wheel.flat_names) == 3206 and sum(map(len, wheel.names_by_dimension.values())) == 3857


def test_flat_names_are_the_official_list(suite: Suite, data: Path) -> None:
    official = (data / "sampled_videos.txt").read_text(encoding="utf-8").split("\n")
    assert len(suite.flat_names) == len(set(suite.flat_names)) == 3209
    assert set(suite.flat_names) == set(official)


def test_names_by_dimension(suite: Suite) -> None:
    assert {name: len(files) for name, files in suite.names_by_dimension.items()} == {
        name: fact.num_videos for name, fact in facts().items()
    }
    assert sum(map(len, suite.names_by_dimension.values())) == 3860


def test_per_dimension_files_hold_the_same_entries(suite: Suite, data: Path) -> None:
    for name in facts():
        assert suite_of((data / "meta_info" / f"{name}.json").read_bytes(), name).entries == suite.of(name)


def test_dimensions_of_each_prompt_are_those_of_the_official_index(suite: Suite, data: Path) -> None:
    index = json.loads((data / "VBench2_full_text_info.json").read_bytes())
    assert {key: set(row["dimension"]) for key, row in index.items()} == {
        stem(prompt): set(suite.dimensions_of(prompt)) for prompt in suite.prompts
    }


def test_the_known_traps_are_in_the_names(suite: Suite) -> None:
    stems = [stem(prompt) for prompt in suite.prompts]
    foreign = Counter(letter for text in stems for letter in set(text) if ord(letter) > 127)
    assert foreign == {"°": 47, "\u2019": 16, "—": 1}
    assert sum(len(prompt) > 180 for prompt in suite.prompts) == 100
    assert sum(text.endswith(" ") for text in stems) == 20
    assert max(len(text.encode()) for text in stems) == 182


def test_every_name_leads_back_to_its_prompt_also_when_damaged(suite: Suite) -> None:
    for prompt in suite.prompts:
        name = f"{stem(prompt)}-2.mp4"
        found = parse(name)
        assert found is not None and found[1] == 2 and suite.lookup.exact(found[0]) == prompt
        for damaged in (unicodedata.normalize("NFD", stem(prompt)), stem(prompt).strip(), prompt.replace(" ", "_")):
            assert suite.lookup.near(damaged) == prompt


def test_catalogue_counts_and_reference_kinds_are_those_of_the_suite(suite: Suite) -> None:
    assert {name: len(suite.of(name)) for name in facts()} == {name: f.num_prompts for name, f in facts().items()}
    labels = Counter(entry.reference[0] for entry in suite.of("Camera_Motion"))
    assert len(labels) == 9 and set(labels.values()) == {12}
    composition = suite.of("Composition")
    assert sum(e.one_creature for e in composition) == 25 and sum(e.all_needed for e in composition) == 18
    assert not any(entry.one_creature and entry.all_needed for entry in composition)


def test_none_of_the_seed_examples_is_taken_from_the_suite(suite: Suite) -> None:
    examples = [text for each in catalogue(VBENCH_CATALOGUE) for text in each.examples]
    assert len(examples) == len(set(examples)) == 4 * 18
    near = [(examples[pair.row], suite.prompts[pair.other]) for pair in near_pairs(examples, suite.prompts, 0.7)]
    assert near == []


def test_official_aggregation_counts_what_is_missing_as_zero() -> None:
    totals = official_totals({"Diversity": 0.5})
    assert totals["Creativity"] == 0.25 and totals["Total"] == pytest.approx(0.05)
    assert list(totals) == ["Creativity", "Commonsense", "Controllability", "Human Fidelity", "Physics", "Total"]
    assert official_totals(dict.fromkeys(facts(), 0.4))["Total"] == pytest.approx(0.4)


def test_complete_official_results_raise_no_doubt(suite: Suite, tmp_path: Path) -> None:
    for name, files in suite.names_by_dimension.items():
        kept = [file for file in files if name != "Diversity" or file.endswith("-0.mp4")]
        rows = [{"video_path": f"m/{name}/{file}", "video_results": i % 2} for i, file in enumerate(kept)]
        folder = tmp_path / name / "m"
        folder.mkdir(parents=True)
        content = {name: [sum(i % 2 for i in range(len(rows))) / len(rows), rows]}
        (folder / "results_2026-01-31-12:00:00_eval_results.json").write_text(json.dumps(content), encoding="utf-8")
        (folder / "results_2026-01-31-12:00:00_full_info.json").write_text("[]", encoding="utf-8")
    found = read_results(tmp_path, suite=suite)
    assert [(each.dimension, each.doubts) for each in found.dimensions] == [(name, ()) for name in facts()]
    assert len(found.ignored) == 18
