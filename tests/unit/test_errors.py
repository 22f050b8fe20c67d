"""User errors teach, and survive the trip from a worker process."""

from __future__ import annotations

import pickle
import shlex
from pathlib import Path

import pytest

from rushes.errors import BlobCorrupt, RecipeChanged, RecipeError, UserError, command, nearest, resume_command


def test_message_says_expected_got_and_next_step() -> None:
    error = UserError("bad steps", expected="an integer >= 1", got="many", next_step="--set train.steps=200")
    assert str(error).splitlines() == [
        "bad steps",
        "  expected: an integer >= 1",
        "  got:      'many'",
        "  next:     --set train.steps=200",
    ]


def test_got_none_is_shown_and_absent_parts_are_not() -> None:
    assert str(UserError("bad", got=None)) == "bad\n  got:      None"
    assert str(UserError("bad")) == "bad"


def test_errors_survive_pickling() -> None:
    errors: list[UserError] = [
        RecipeError("a", expected="b", got=3, next_step="c"),
        BlobCorrupt("ab" * 32, "/x", "truncated"),
        RecipeChanged("a", paths=("train.steps",), next_step="b"),
    ]
    for error in errors:
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert again.__dict__ == error.__dict__


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("foo", None), ("bar", None), ("x", None), ("", None), ("num", None), ("a100", None), ("\u65e5\u672c", None),
        ("flor", "floor"), ("sede", "seed"), ("stps", "num_steps"), ("STEPS", "num_steps"), ("rate", "learning_rate"),
        ("camera motion", "Camera_Motion"), ("RTX 4091", "RTX 4090"), ("learn_rate", "learning_rate"),
    ],
)  # fmt: skip
def test_a_name_is_only_suggested_where_it_is_alike(word: str, meant: str | None) -> None:
    names = ["floor", "seed", "num_steps", "num_clips", "learning_rate", "Camera_Motion", "RTX 4090", "H100"]
    assert nearest(word, [*names, "A100 40GB", "A100 80GB"]) == meant


def test_a_command_can_be_typed_whatever_its_files_are_called() -> None:
    home = """my "first" run's"""
    assert shlex.split(resume_command(home)) == ["rushes", "run", f"{home}/recipe.yaml", "--home", home]
    assert command("status", Path("runs/x")) == "rushes status runs/x"
