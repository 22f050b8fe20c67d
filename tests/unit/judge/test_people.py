"""People as judge and as measurer: what the file says and nothing else; no label is no score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rushes.errors import InputError
from rushes.feedback import PreferenceRequest, ScoreRequest, gives, has_position_bias, scales_of, sees_with
from rushes.judge.people import SCALE, PeopleSpec
from rushes.measure.people import PeopleMeasurerSpec
from rushes.preflight import found_in_recipe
from rushes.recipe.load import load_recipe
from rushes.records import Outcome, Question, Scored, Unscored
from rushes.roles import JudgeRequest, Runtime, Subject, Video
from rushes.store.identity import content_hash

VIDEO = Video(np.zeros((1, 2, 2, 3), np.uint8), 8.0)
A, B, C = "a" * 64, "b" * 64, "c" * 64
RED = Question(text="Is it red?", expected="no", dimension="Colour", about="colour")


def file(folder: Path, text: str) -> str:
    path = folder / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_preferences_of_people(tmp_path: Path) -> None:
    path = file(tmp_path, f"clip,other,preferred\n{A},{B[:12]},first\n{B[:12]},{A},tie\n")
    spec = PeopleSpec(path=path)
    assert gives(spec) == "preferences" and not has_position_bias(spec)
    pairs = [(A, B), (B, A), (A, C)]
    found = spec.build(Runtime()).prefer([PreferenceRequest(VIDEO, VIDEO, "", "Colour", *pair) for pair in pairs])
    assert [each.p_first for each in found] == [0.75, 0.25, None]
    assert found[2].unscored_reason == "nobody has compared them"


def test_scores_of_people(tmp_path: Path) -> None:
    spec = PeopleSpec(path=file(tmp_path, f"clip;score\n{A};-3\n{A};5\n"), gives="scores")
    assert gives(spec) == "scores" and scales_of(spec) == (SCALE,)
    one, none = spec.build(Runtime()).score([ScoreRequest(VIDEO, "", "Colour", key) for key in (A, B)])
    assert one[0].value == 1.0 and none[0].value is None and none[0].unscored_reason


def test_answers_of_people(tmp_path: Path) -> None:
    text = f"clip,question,answer\n{A},is it  RED?,yes\n{B},is it red?,yes\n{B},is it red?,no\n"
    spec = PeopleSpec(path=file(tmp_path, text), gives="answers")
    found = spec.build(Runtime()).answer([JudgeRequest(VIDEO, "", (RED,), clip_key=key) for key in (A, B, C)])
    assert [each.p_yes for (each,) in found] == [1.0, None, None]
    measurer = PeopleMeasurerSpec(path=spec.path, gives="answers").build(Runtime())
    assert [value(each) for each in measurer.measure([subject(A), subject(B)])] == [0.0, None]


def subject(*keys: str) -> Subject:
    return Subject("Colour", "", (RED,), (VIDEO,) * len(keys), keys)


def value(outcome: Outcome) -> float | None:
    return outcome.value if isinstance(outcome, Scored) else None


def test_scores_of_people_as_measurements_are_shares(tmp_path: Path) -> None:
    path = file(tmp_path, f"clip,score\n{A},0.25\n{A},0.75\n")
    measurer = PeopleMeasurerSpec(path=path).build(Runtime())
    found = measurer.measure([subject(A), subject(B), subject(A, B)])
    assert value(found[0]) == 0.5 and isinstance(found[1], Unscored) and isinstance(found[2], Unscored)
    with pytest.raises(InputError, match="scores from 3 to 3, and measurements lie in 0 to 1"):
        PeopleMeasurerSpec(path=file(tmp_path, f"clip,score\n{A},3\n")).build(Runtime())


def test_more_labels_are_another_judge_and_a_copy_of_the_file_is_the_same_eyes(tmp_path: Path) -> None:
    spec = PeopleSpec(path=file(tmp_path, f"clip,score\n{A},1\n"), gives="scores")
    before, eyes = content_hash([spec]), sees_with(spec, "Colour")
    (tmp_path / "copy.csv").write_bytes(Path(spec.path).read_bytes())
    assert sees_with(PeopleMeasurerSpec(path=str(tmp_path / "copy.csv")), "Colour") == eyes
    file(tmp_path, f"clip,score\n{A},1\n{B},1\n")
    assert content_hash([spec]) != before and sees_with(spec, "Colour") != eyes


def test_a_file_that_is_not_there_yet_is_a_warning_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    spec = PeopleSpec(path=str(tmp_path / "later.csv"))
    (finding,) = spec.findings(Runtime())
    assert not finding.is_certain and "rushes export study HOME --of takes" in (finding.next_step or "")
    with pytest.raises(InputError, match="cannot read"):
        spec.build(Runtime())
    path = file(tmp_path, f"clip,score\n{A},1\n")
    (finding,) = PeopleSpec(path=path).findings(Runtime())
    assert finding.is_certain and "holds scores, and the recipe expects preferences" in finding.problem
    assert not PeopleSpec(path=path, gives="scores").findings(Runtime())


def test_nobody_measures_with_the_labels_that_gave_the_rewards(tmp_path: Path) -> None:
    path, other = file(tmp_path, f"clip,score\n{A},1\n"), tmp_path / "other.csv"
    other.write_text(f"clip,score\n{A},0.5\n", encoding="utf-8")
    judge = f"judge.judge={{use: 'rushes.judge.people:PeopleSpec', options: {{path: {path}, gives: scores}}}}"

    def told(measuring: str) -> list[str]:
        measurer = f"{{use: 'rushes.measure.people:PeopleMeasurerSpec', options: {{path: {measuring}}}}}"
        recipe = load_recipe("tiny", [judge, f"measure.measurer={measurer}"])
        return [each.problem for each in found_in_recipe(recipe) if each.setting == "measure.measurer"]

    assert any("it would measure its own rewards" in each for each in told(path))
    assert told(str(other)) == []
