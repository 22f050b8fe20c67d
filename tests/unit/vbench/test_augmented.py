"""Rewritten prompts: given to the model, kept beside the originals, guarded against training; off changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rushes.errors import InputError
from rushes.measure.stage import subjects
from rushes.prompts.suite import guarded, rewritten_note, suite_work
from rushes.recipe.plugin import PluginSpec
from rushes.roles import Runtime
from rushes_vbench.augmented import ORIGINALS, SETS
from rushes_vbench.held_out import HeldOut, SuiteSpec
from tests.support.judged import make_clip
from tests.support.sandbox_recipe import sandbox_recipe
from tests.support.suite import SHARED, small_suite, suite_rows, write_suite

PROMPTS = small_suite().prompts
REWRITTEN = {prompt: f"In golden light, and in detail: {prompt}" for prompt in PROMPTS}


def checkout(folder: Path, lines: list[str], originals: list[str] | None = None) -> Path:
    """A copy of the suite as the repository arranges it, with rewritten prompts."""
    write_suite(folder / "VBench-2.0" / "vbench2")
    prompts = folder / "VBench-2.0" / "prompts"
    (prompts / "prompt_aug").mkdir(parents=True)
    (prompts / ORIGINALS).write_text("\n".join(originals or PROMPTS) + "\n", encoding="utf-8")
    (prompts / "prompt_aug" / SETS["vbench2"]).write_text("\r\n".join(lines), encoding="utf-8", newline="")
    return folder


def of(name: str, path: Path) -> HeldOut:
    built = SuiteSpec(path=str(path), augmented=name).build(Runtime())
    assert isinstance(built, HeldOut)
    return built


def test_a_prompt_keeps_both_texts(tmp_path: Path) -> None:
    suite = of("vbench2", checkout(tmp_path, list(REWRITTEN.values())))
    for work in suite_work(suite, {"Material": 3, "Mechanics": 1}, "test"):
        assert work.payload.text == REWRITTEN[work.payload.base_text] != work.payload.base_text
    (one,) = suite_work(suite, {"Mechanics": 1}, "test")
    assert one.payload.base_text == SHARED and one.payload.questions[0].text.startswith("Is there")
    assert {prompt.text for prompt in guarded(suite)} == {*PROMPTS, *REWRITTEN.values()}


@pytest.mark.parametrize("place", ["", "VBench-2.0", "VBench-2.0/vbench2", "VBench-2.0/vbench2/VBench2_full_info.json"])
def test_the_set_is_found_from_whatever_names_the_suite(place: str, tmp_path: Path) -> None:
    root = checkout(tmp_path, list(REWRITTEN.values()))
    assert of("vbench2", root / place).rewritten == REWRITTEN


def test_off_is_what_it_was_and_on_is_other_work() -> None:
    """The keys are those of releases without the setting."""
    plain = suite_work(HeldOut(small_suite()), {"Material": 1}, "test")[0]
    assert plain.key == "e4eb124a9b8fe577e0f9387df57f95d2d85b029886cf6b1fe75308c6a6f30c86"
    assert plain.payload.seed_name == "0a72c23c4422619e69129449e96b15589fb38cb1102de5310e6b79dbd5153fa1"
    other = suite_work(HeldOut(small_suite(), REWRITTEN), {"Material": 1}, "test")[0]
    assert other.key != plain.key and other.payload.seed_name != plain.payload.seed_name
    same = suite_work(HeldOut(small_suite(), {prompt: prompt for prompt in PROMPTS}), {"Material": 1}, "test")[0]
    assert same.key == plain.key and same.payload == plain.payload


def test_the_scorecard_says_which_prompts_were_used() -> None:
    for suite, num in ((HeldOut(small_suite()), 0), (HeldOut(small_suite(), REWRITTEN), 1)):
        prompts = [work.payload for work in suite_work(suite, {"Material": 3}, "test")]
        notes = list(rewritten_note(prompts))
        assert len(notes) == num and all(
            note.startswith("3 of 3 prompts of the suite were rewritten") for note in notes
        )


@pytest.mark.parametrize("with_suite", [True, False])
def test_a_clip_of_a_rewritten_prompt_is_measured_by_the_original(with_suite: bool) -> None:
    (prompt,) = [work.payload for work in suite_work(HeldOut(small_suite(), REWRITTEN), {"Mechanics": 1}, "test")]
    clip = make_clip(prompt)
    spec = sandbox_recipe(name="x").measure
    spec = spec.model_copy(update={"suite": PluginSpec(use="vbench2", options={"path": "x"})}) if with_suite else spec
    (work,) = subjects([clip], {prompt.key: prompt}, spec)
    assert work.payload.text == (SHARED if with_suite else REWRITTEN[SHARED])


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(json.dumps({**REWRITTEN, "a prompt of no suite": "x"}), encoding="utf-8")
    write_suite(tmp_path)
    assert of(str(tmp_path / "mine.json"), tmp_path).rewritten == REWRITTEN


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (json.dumps(dict(list(REWRITTEN.items())[1:])), "have no text for 1 of"),
        (json.dumps({**REWRITTEN, SHARED: "  "}), "have no text for 1 of"),
        ("[1]", "holds no rewritten prompts"),
        ('{"a": 1}', "holds no rewritten prompts"),
        ("{", "is not JSON"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_does_not_fit_is_an_error(content: str | None, said: str, tmp_path: Path) -> None:
    write_suite(tmp_path)
    if content is not None:
        (tmp_path / "mine.json").write_text(content)
    with pytest.raises(InputError, match=said):
        of(str(tmp_path / "mine.json"), tmp_path)


def test_a_copy_without_the_set_or_with_lines_too_few_is_an_error(tmp_path: Path) -> None:
    write_suite(tmp_path / "plain")
    with pytest.raises(InputError, match="has no rewritten prompts wanx"):
        of("wanx", tmp_path / "plain")
    root = checkout(tmp_path / "checkout", list(REWRITTEN.values())[1:])
    with pytest.raises(InputError, match="does not fit"):
        of("vbench2", root)
    assert len(suite_rows()) > len(PROMPTS)
