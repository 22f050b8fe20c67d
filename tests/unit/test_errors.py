"""User errors teach, and survive the trip from a worker process."""

from __future__ import annotations

import pickle

from rushes.errors import BlobCorrupt, RecipeChanged, RecipeError, UserError


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
