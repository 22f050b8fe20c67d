"""Records are frozen, strict, documented, and go through JSON without loss."""

from __future__ import annotations

import inspect
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from pydantic import ValidationError

from rushes import records
from rushes.records import Answer, Clip, DimensionRow, Failure, Focus, Question, Record, Sample, Score, Scored, Unscored

RECORD_TYPES = [
    value
    for name in records.__all__
    if inspect.isclass(value := getattr(records, name))
    and issubclass(value, Record)
    and "Base of" not in (value.__doc__ or "")
]
KEY = "ab" * 32


def example(record_type: type[Record]) -> Any:
    """The filled-in example of a record's docstring, built."""
    assert record_type.__doc__
    code = textwrap.dedent(record_type.__doc__.split("Example:")[1])
    return eval(code.strip(), vars(records).copy())


@pytest.mark.parametrize("record_type", RECORD_TYPES, ids=lambda cls: cls.__name__)
class TestEveryRecord:
    def test_example_is_valid_and_survives_json(self, record_type: type[Record]) -> None:
        made = example(record_type)
        assert type(made) is record_type
        assert record_type.model_validate_json(made.model_dump_json()) == made

    def test_every_field_is_documented(self, record_type: type[Record]) -> None:
        undocumented = [name for name, field in record_type.model_fields.items() if not field.description]
        assert undocumented == []

    def test_unknown_fields_are_refused(self, record_type: type[Record]) -> None:
        with pytest.raises(ValidationError, match="Extra inputs"):
            record_type.model_validate({**example(record_type).model_dump(), "colour": 1})

    def test_is_frozen(self, record_type: type[Record]) -> None:
        name = next(iter(record_type.model_fields))
        with pytest.raises(ValidationError, match="frozen"):
            setattr(example(record_type), name, None)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -0.1, 1.1])
def test_probabilities_are_finite_and_between_0_and_1(bad: float) -> None:
    with pytest.raises(ValidationError):
        Scored(value=bad)
    with pytest.raises(ValidationError):
        Answer.model_validate({**example(Answer).model_dump(), "p_yes": bad})


def test_weights_are_finite_and_not_negative() -> None:
    for bad in (float("nan"), float("inf"), -1e-9):
        with pytest.raises(ValidationError):
            Sample.model_validate({**example(Sample).model_dump(), "weight": bad})


def test_answer_has_exactly_one_of_probability_and_reason() -> None:
    fields = example(Answer).model_dump()
    for p_yes, reason in ((None, None), (0.5, "silent")):
        with pytest.raises(ValidationError, match="exactly one"):
            Answer.model_validate({**fields, "p_yes": p_yes, "unscored_reason": reason})
    silent = Answer.model_validate({**fields, "p_yes": None, "unscored_reason": "silent"})
    assert silent.p_expected is None


def test_expected_answer_turns_the_probability_round() -> None:
    question = Question(text="Is it blue?", expected="no", dimension="Composition", about="colour")
    answer = Answer(key=KEY, clip_key=KEY, question=question, p_yes=0.25, judge="j")
    assert answer.p_expected == 0.75


def test_scored_zero_and_unscored_are_different_things() -> None:
    fields = {"clip_key": KEY, "prompt_key": KEY, "dimension": "Composition"}
    zero = Score.model_validate_json(Score.model_validate({**fields, "outcome": Scored(value=0.0)}).model_dump_json())
    none = Score.model_validate_json(
        Score.model_validate({**fields, "outcome": Unscored(reason="r")}).model_dump_json()
    )
    assert isinstance(zero.outcome, Scored)
    assert isinstance(none.outcome, Unscored)


def test_only_generated_clips_have_a_sampler() -> None:
    fields = example(Clip).model_dump()
    with pytest.raises(ValidationError, match="sampler"):
        Clip.model_validate({**fields, "sampler": None})
    with pytest.raises(ValidationError, match="sampler"):
        Clip.model_validate({**fields, "origin": "real"})
    assert Clip.model_validate({**fields, "origin": "real", "sampler": None}).duration_s == 17 / 8


def test_content_leaves_out_wall_clock_only() -> None:
    clip = example(Clip)
    slower = clip.model_copy(update={"seconds": 99.0})
    assert slower.content() == clip.content()
    assert set(type(clip).model_fields) - set(clip.content()) == {"seconds"}


def test_keys_are_64_hex_digits() -> None:
    with pytest.raises(ValidationError):
        Failure(work_key="clip-1", stage="clips", attempt=1, error_type="E", message="")


def test_intervals_and_verdicts_are_consistent() -> None:
    with pytest.raises(ValidationError, match="interval"):
        Focus.model_validate({**example(Focus).model_dump(), "low": 0.9, "high": 0.1})
    row = example(DimensionRow).model_dump()
    with pytest.raises(ValidationError, match="no clear change"):
        DimensionRow.model_validate({**row, "gain_low": -0.1})


def test_importing_nouns_and_verbs_loads_nothing_heavy() -> None:
    code = (
        "import sys, rushes.records, rushes.roles, rushes.errors, rushes.store.run\n"
        "print([n for n in ('torch', 'numpy', 'diffusers', 'rich', 'yaml', 'transformers') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
