"""Orders: keys and seeds that depend on what is ordered, and on nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rushes.dimensions import Dimension
from rushes.errors import InputError
from rushes.prompts.briefs import Aim, plan_briefs, plan_captions
from rushes.recipe.diagnose import DimensionSpec, ExampleSpec
from rushes.recipe.dimensions import known
from rushes.recipe.prompts import FixedWriterSpec
from rushes_sandbox.real_clips import sandbox_real_clips
from rushes_sandbox.specs import WriterSpec
from tests.support.sandbox_recipe import diagnose_spec

UP = Dimension(name="Up", description="Things go up.", examples=("a red circle moves up",), category="Own")
DOWN = Dimension(name="Down", description="Things go down.", category="Own")
WRITER = WriterSpec()


def test_briefs_carry_the_dimension_and_count_what_is_wanted() -> None:
    work = plan_briefs([Aim(UP, 3), Aim(DOWN, 0)], origin="weakness", writer=WRITER, oversample=1.5)
    assert [piece.payload.index for piece in work] == [0, 1, 2, 3, 4]
    brief = work[0].payload
    assert (brief.dimension, brief.description, brief.examples, brief.origin) == (
        "Up", "Things go up.", ("a red circle moves up",), "weakness"
    )  # fmt: skip
    assert all(0 <= piece.payload.seed < 2**63 for piece in work)


def test_ordering_more_changes_nothing_that_was_ordered_before() -> None:
    few = plan_briefs([Aim(UP, 3)], origin="probe", writer=WRITER)
    many = plan_briefs([Aim(DOWN, 5), Aim(UP, 9)], origin="probe", writer=WRITER)
    assert many[5:8] == few


def test_each_purpose_has_its_own_keys_and_seeds() -> None:
    aims = [Aim(UP, 4), Aim(DOWN, 4)]
    plans = [
        plan_briefs(aims, origin="probe", writer=WRITER),
        plan_briefs(aims, origin="weakness", writer=WRITER),
        plan_briefs(aims, origin="weakness", writer=WRITER, round_index=1),
        plan_briefs(aims, origin="weakness", writer=WRITER, seed=1),
        plan_briefs(aims, origin="held_out", split="development", writer=WRITER),
        plan_briefs(aims, origin="held_out", split="test", writer=WRITER),
        plan_briefs(aims, origin="weakness", writer=WriterSpec(detailed=0.25)),
    ]
    work = [piece for plan in plans for piece in plan]
    assert len({piece.key for piece in work}) == len({piece.payload.seed for piece in work}) == 7 * 8


def test_a_dimension_that_the_user_brings_changes_only_its_own_prompts() -> None:
    example = ExampleSpec(prompt="a red circle moves up", questions={"does it move up?": "yes"})
    brought = DimensionSpec(name="Up", description="Things go up.", examples=(example,))
    own = known(diagnose_spec(extra=(brought,)))[-1]
    plain = plan_briefs([Aim(UP, 2), Aim(DOWN, 2)], origin="weakness", writer=WRITER)
    work = plan_briefs([Aim(own, 2), Aim(DOWN, 2)], origin="weakness", writer=WRITER)
    assert plain[2:] == work[2:]
    assert {piece.key for piece in plain[:2]}.isdisjoint(piece.key for piece in work[:2])
    brief = work[0].payload
    assert brief.examples == ("a red circle moves up",)
    assert [[(q.text, q.expected) for q in each] for each in brief.example_questions] == [[("does it move up?", "yes")]]
    assert plain[0].payload.example_questions == ()


def test_a_list_is_known_by_its_content_not_by_its_place(tmp_path: Path) -> None:
    def keys(name: str, text: str) -> list[str]:
        (tmp_path / name).write_text(text)
        spec = FixedWriterSpec(path=str(tmp_path / name))
        return [piece.key for piece in plan_briefs([Aim(UP, 2)], origin="weakness", writer=spec)]

    assert keys("a.jsonl", "one") == keys("b.jsonl", "one")
    assert keys("a.jsonl", "one") != keys("a.jsonl", "two")
    with pytest.raises(InputError, match="cannot be read"):
        plan_briefs([Aim(UP, 2)], origin="weakness", writer=FixedWriterSpec(path=str(tmp_path / "no.jsonl")))


@pytest.mark.parametrize(
    "wrong",
    [
        {"origin": "held_out"},
        {"origin": "probe", "split": "test"},
        {"origin": "caption"},
        {"origin": "probe", "oversample": 0.5},
    ],
)
def test_impossible_orders_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        plan_briefs([Aim(UP, 1)], writer=WRITER, **wrong)  # type: ignore[arg-type]


def test_captions_are_known_by_their_text_and_pixels() -> None:
    one, other = sandbox_real_clips(2)
    work = plan_captions([one, other])
    assert [(piece.payload.origin, piece.payload.index) for piece in work] == [("caption", 0), ("caption", 1)]
    assert [piece.payload.dimension for piece in work] == [one.dimension, other.dimension]
    changed = [replace(one, text="x"), replace(one, sha256=other.sha256), replace(one, name="y")]
    keys = [plan_captions([clip])[0].key for clip in (one, *changed)]
    assert keys[0] == keys[3]
    assert len(set(keys)) == 3
