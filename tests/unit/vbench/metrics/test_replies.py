"""What models said, read by rule."""

from __future__ import annotations

import pytest

from rushes.vbench.metrics.replies import chosen_numbers, numbered_items, says_yes, split_numbered


@pytest.mark.parametrize(
    ("reply", "compat", "fixed"),
    [
        ("Yes.", True, True),
        ("no", False, False),
        ("No, though yesterday it did", True, False),
        ("**Yes**, it does", True, True),
        ("The eyes are open", True, None),
        ("Nothing can be seen", False, None),
        ("maybe", False, None),
        ("", False, None),
    ],
)
def test_says_yes(reply: str, compat: bool, fixed: bool | None) -> None:
    assert says_yes(reply, "compat") is compat
    assert says_yes(reply, "fixed") is fixed


def test_a_preamble_shifts_the_official_list_only() -> None:
    reply = "Here is the plot:\n1. A man runs.\n2. He falls; at 3.5 m.\n"
    assert split_numbered(reply) == ["Here is the plot:", "A man runs.", "He falls; at", "5 m."]
    assert numbered_items(reply) == ["A man runs.", "He falls; at 3.5 m."]


def test_lists_in_other_dresses() -> None:
    assert numbered_items("1) one\n2) two\n\n3) three") == ["one", "two", "three"]
    assert numbered_items("**1.** one;\n**2.** two") == ["one", "two"]
    assert numbered_items("nothing happens") == []


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("[1, 0, 2]", [1, 0, 2]),
        ("First thought [9]; the answer is [2,2,0].", [2, 2, 0]),
        ("[1, 2]", None),
        ("[1, 2, 4]", None),
        ("[1, 2, true]", None),
        ("[1, 2, 1.0]", None),
        ("[1, 2, ]", None),
        ("one, two", None),
    ],
)
def test_chosen_numbers(reply: str, expected: list[int] | None) -> None:
    assert chosen_numbers(reply, 3, 3) == expected
