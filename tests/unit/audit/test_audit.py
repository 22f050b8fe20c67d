"""Whole audits of toy judges: good ones are trusted, and each way to be bad is found by name."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from rushes.audit.expectations import chosen_controls
from rushes.audit.plot import audit_svg
from rushes.audit.records import Audit, DimensionAudit
from rushes.audit.run import AUDIT_FILE, PICTURE_FILE, Settings, Witness, audit_judge, read_audit
from rushes.audit.second import MeasurerAsJudge
from rushes.audit.sources import Source
from rushes.audit.table import print_audit, sentence
from rushes.errors import StoreError
from rushes.judge.labels import LabelFile, folded
from rushes.records import Outcome, Scored, Unscored
from rushes.roles import Failed, Judge, Subject, Video
from tests.support.audited import ToyJudge, blind_to_time, good, make_cases, says_yes, sees

SETTINGS = Settings(num_resamples=200, batch_size=24)
CASES = make_cases(12)


def source(num: int = 12, is_truth_known: bool = True) -> Source:
    return Source("toy clips", CASES[:num], is_truth_known)


def audited(judge: Judge, folder: Path, num: int = 12, **options: object) -> DimensionAudit:
    made = audit_judge(Witness("toy", "toy", judge), source(num), folder, SETTINGS, **options)  # type: ignore[arg-type]
    (dimension,) = made.dimensions
    return dimension


def test_a_judge_that_sees_right_is_trusted(tmp_path: Path) -> None:
    found = audited(ToyJudge(good), tmp_path)
    assert (found.verdict, found.reasons) == ("trust", ())
    results = {each.control: each for each in found.controls}
    assert len(results) == 11 and all(each.num_clips == 12 for each in results.values())
    for control in ("wrong_prompt", "black_video", "frozen_frame", "reversed_time", "shuffled_frames"):
        assert results[control].finding == "passes" and results[control].auc is not None
        assert results[control].auc.value > 0.95, control  # type: ignore[union-attr]
    for control in ("held_frames", "half_the_frames", "double_rate", "negated_question", "asked_again"):
        assert results[control].mean_control == pytest.approx(results[control].mean_original, abs=0.05), control
    assert found.yes_bias is not None and abs(found.yes_bias.value) < 0.01
    assert found.consistency is not None and found.consistency.share_same == 1.0


def test_a_judge_that_cannot_tell_time_is_found_out_on_time_alone(tmp_path: Path) -> None:
    found = audited(ToyJudge(blind_to_time), tmp_path)
    failed = {each.control for each in found.controls if each.finding == "fails"}
    assert failed == {"frozen_frame", "reversed_time", "shuffled_frames"}
    assert found.verdict == "do not trust" and len(found.reasons) == 3


def test_a_judge_that_says_yes_is_found_out(tmp_path: Path) -> None:
    found = audited(ToyJudge(says_yes), tmp_path)
    assert found.verdict == "do not trust"
    assert found.yes_bias is not None and found.yes_bias.value == pytest.approx(0.4)
    assert any("says yes too easily" in reason for reason in found.reasons)
    assert any("black video" in reason for reason in found.reasons)


def test_a_judge_that_is_swayed_by_the_frame_rate_is_found_out(tmp_path: Path) -> None:
    def swayed(video: Video, question: str) -> float:
        return good(video, question) if video.fps == 8.0 else 0.5

    found = audited(ToyJudge(swayed), tmp_path)
    failed = {each.control for each in found.controls if each.finding == "fails"}
    assert failed == {"half_the_frames", "double_rate"} and found.verdict == "do not trust"


def test_a_judge_that_changes_its_mind_is_found_out(tmp_path: Path) -> None:
    seen: set[tuple[bytes, str]] = set()

    def fickle(video: Video, question: str) -> float:
        key = (video.frames_THWC.tobytes(), f"{video.fps} {question}")
        is_again = key in seen
        seen.add(key)
        return 1 - good(video, question) if is_again else good(video, question)

    found = audited(ToyJudge(fickle), tmp_path)
    assert found.consistency is not None and found.consistency.share_same == 0.0
    assert any("asked again, 0%" in reason for reason in found.reasons)


def test_asking_again_comes_in_other_company_and_another_order(tmp_path: Path) -> None:
    judge = ToyJudge(good)
    audited(judge, tmp_path)
    first, again = judge.batches[:-2], judge.batches[-2:]
    assert sum(again) == 12 and set(again).isdisjoint(first)


def test_a_judge_with_no_answers_is_not_shown_and_gets_no_number(tmp_path: Path) -> None:
    found = audited(ToyJudge(lambda video, question: None), tmp_path)
    assert found.verdict == "not shown" and found.num_unanswered == found.num_questions == 48
    assert found.yes_bias is None and found.consistency is None
    for each in found.controls:
        assert (each.auc, each.mean_original, each.mean_control) == (None, None, None)
        assert each.finding == "not scored" and "the rule has no answer" in each.unscored_reason


def test_few_prompts_show_nothing(tmp_path: Path) -> None:
    assert audited(ToyJudge(good), tmp_path, num=4).verdict == "not shown"
    (only,) = audit_judge(Witness("toy", "toy", ToyJudge(good)), source(1), tmp_path / "1", SETTINGS).dimensions
    assert only.verdict == "not shown" and all(each.auc is None for each in only.controls)


def test_an_audit_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(update: object) -> None:
        if getattr(update, "num_done", 0) >= 4:
            raise Killed

    judge = ToyJudge(good)
    with pytest.raises(Killed):
        audit_judge(Witness("toy", "toy", judge), source(), tmp_path / "a", SETTINGS, on_progress=kill)
    assert read_audit(tmp_path / "a") is None
    stopped = judge.num_requests
    resumed = audit_judge(Witness("toy", "toy", judge), source(), tmp_path / "a", SETTINGS)
    assert 0 < stopped == resumed.num_from_before and judge.num_requests == resumed.num_requests == 12 * 12
    again = audit_judge(Witness("toy", "toy", judge), source(), tmp_path / "a", SETTINGS)
    assert again.content() == resumed.content() and judge.num_requests == 12 * 12


def labels_of(name: str, said: dict[tuple[str, str], bool], problems: tuple[str, ...] = ()) -> LabelFile:
    votes = {(clip, folded(question)): (("ann", float(yes)),) for (clip, question), yes in said.items()}
    return LabelFile(name, "answers", votes, problems)


def test_labels_and_a_second_judge_stand_beside_it(tmp_path: Path) -> None:
    truth = {(c.name, q.text): sees(c.load(), q.text) for c in CASES for q in c.questions}
    asked = {key: yes for key, yes in truth.items() if "clip_11" not in key[0]}
    people = labels_of("labels.csv", asked, ("labels.csv line 9: the answer must be yes or no",))
    second = Witness("upside down", "x", ToyJudge(lambda v, q: 1 - good(v, q)))
    made = audit_judge(
        Witness("toy", "toy", ToyJudge(good)), source(), tmp_path, SETTINGS, second=second, labels=people
    )
    other, labels = made.dimensions[0].others
    assert (other.source, other.is_people, other.num_questions) == ("upside down", False, 48)
    assert other.accuracy is not None and other.accuracy.value == 0.0
    assert other.kappa is not None and other.kappa.value == pytest.approx(-1.0)
    assert other.correlation is not None and other.correlation.value < -0.9
    assert labels.is_people and (labels.num_questions, labels.num_left_out) == (44, 0)
    assert labels.kappa is not None and labels.kappa.value == pytest.approx(1.0)
    assert made.dimensions[0].verdict == "trust" and "line 9" in made.notes[0]


def test_people_overrule_a_judge_that_passes_every_control(tmp_path: Path) -> None:
    against = {(c.name, q.text): not sees(c.load(), q.text) for c in CASES for q in c.questions}
    found = audited(ToyJudge(good), tmp_path, labels=labels_of("l.csv", against))
    assert found.verdict == "do not trust" and "kappa -1.00 with l.csv" in found.reasons[0]


class Eyes:
    """A measurer of toy clips that cannot tell blue."""

    def measure(self, subjects: Sequence[Subject]) -> list[Outcome | Failed]:
        return [self._one(each) for each in subjects]

    def _one(self, subject: Subject) -> Outcome:
        (question,) = subject.questions
        if "blue" in question.text:
            return Unscored(reason="cannot tell blue")
        return Scored(value=float(sees(subject.clips[0], question.text) == (question.expected == "yes")))


def test_a_measurer_can_be_the_second_judge(tmp_path: Path) -> None:
    second = Witness("eyes", "eyes", MeasurerAsJudge(Eyes()))
    found = audited(ToyJudge(good), tmp_path, second=second).others[0]
    num_blue = sum("blue" in q.text for c in CASES for q in c.questions)
    assert found.num_left_out == num_blue and found.num_questions == 48 - num_blue
    assert found.accuracy is not None and found.accuracy.value == 1.0


def test_results_do_not_depend_on_the_batch_size(tmp_path: Path) -> None:
    contents = []
    names = tuple(name for name in chosen_controls() if name != "compression")  # an encoder may differ from day to day
    for size in (1, 100):
        settings = Settings(controls=names, num_resamples=50, batch_size=size)
        made = audit_judge(Witness("toy", "toy", ToyJudge(good)), source(), tmp_path / str(size), settings)
        contents.append(made.content())
    assert contents[0] == contents[1]


# ---------------------------------------------------------------------------------------------- stored and shown


def test_it_is_stored_and_read_back(tmp_path: Path) -> None:
    made = audit_judge(Witness("toy", "toy", ToyJudge(good)), source(), tmp_path, SETTINGS)
    assert read_audit(tmp_path) == made and (tmp_path / PICTURE_FILE).is_file()
    (tmp_path / AUDIT_FILE).write_text('{"judge": 3}')
    with pytest.raises(StoreError, match="cannot be read"):
        read_audit(tmp_path)
    assert read_audit(tmp_path / "nowhere") is None


EVIL = "<script>alert(1)</script>[red]\"' & name"


def evil_audit(tmp_path: Path) -> Audit:
    made = audit_judge(Witness(EVIL, "toy", ToyJudge(blind_to_time)), source(), tmp_path, SETTINGS)
    dimension = made.dimensions[0].model_copy(update={"dimension": EVIL, "reasons": (EVIL,)})
    return made.model_copy(update={"dimensions": (dimension,), "notes": (EVIL,), "source": EVIL})


def test_the_picture_is_well_formed_and_escaped(tmp_path: Path) -> None:
    root = ET.fromstring(audit_svg(evil_audit(tmp_path)))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert "script" not in names and {"circle", "rect", "line", "text"} <= names
    assert EVIL in str(root.get("aria-label"))
    dots = [e for e in root.iter() if e.tag.endswith("circle") and "passes" in str(e.get("class"))]
    squares = [e for e in root.iter() if e.tag.endswith("rect") and "fails" in str(e.get("class"))]
    assert len(squares) == 3 + 1 and len(dots) == 8 + 1  # with one of each in the legend
    for each in dots:
        assert 0 < float(str(each.get("cx"))) < 1100


@pytest.mark.parametrize("width", [80, 140])
def test_the_table_shows_everything_and_reads_nothing_as_markup(tmp_path: Path, width: int) -> None:
    console = Console(width=width, record=True, file=None, force_terminal=False, quiet=False)
    with console.capture() as capture:
        print_audit(evil_audit(tmp_path), console)
    text = " ".join(capture.get().split())
    assert "[red]" in text and "do not trust" in text and "0.50!" in text
    assert ("compression" in text) == (width == 140)


def test_the_sentence_names_every_dimension_once(tmp_path: Path) -> None:
    cases = (*CASES, *make_cases(12, "Composition"), *make_cases(3, "Material"))
    from dataclasses import replace

    cases = tuple(replace(case, name=f"{case.dimension}-{case.name}") for case in cases)
    made = audit_judge(Witness("toy", "toy", ToyJudge(blind_to_time)), Source("toy", cases, True), tmp_path, SETTINGS)
    assert {each.dimension: each.verdict for each in made.dimensions} == {
        "Composition": "trust",
        "Dynamic_Attribute": "do not trust",
        "Material": "do not trust",
    }
    assert (
        sentence(made)
        == "Do not trust toy in Dynamic Attribute, Material. The audit found nothing against it in Composition."
    )
    assert np.all([each.num_clips in (3, 12) for each in made.dimensions])
