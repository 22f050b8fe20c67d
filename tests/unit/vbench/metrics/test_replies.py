"""What models said, read by rule."""

from __future__ import annotations

import pytest

from rushes_vbench.metrics.replies import chosen_numbers, numbered_items, says_yes, split_numbered


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


@pytest.mark.parametrize(
    ("reply", "items"),
    [
        ("1. a; 2. b; 3. c.", ["a;", "b;", "c."]),
        ("1. a\n2. b\n\n3. c\n", ["a", "b", "c"]),
        ("1.a2.b", ["a", "b"]),
        ("1. ; 2. b; 3. .", [";", "b;", "."]),
        ("1. 2. b", ["b"]),
        ("10. ten 11. eleven", ["ten", "eleven"]),
        ("The plot: 1. a 2. b", ["The plot:", "a", "b"]),
        ("1. a 2. b 3. c 4. d 5. e 6. f", ["a", "b", "c", "d", "e", "f"]),
        ("1. it is 3.5 m high", ["it is", "5 m high"]),
        ("1. in 2020. 2. b", ["in", "b"]),
        ("1) a 2) b", ["1) a 2) b"]),
        ("no list", ["no list"]),
        ("1. ", []),
        ("", []),
    ],
)
def test_the_official_split(reply: str, items: list[str]) -> None:
    """By its rule: cut at digits with a full stop and the space after them, trim, drop what is empty."""
    assert split_numbered(reply) == items
    # Counted out by hand, without regular expressions.
    parts, number, rest = [""], "", reply
    while rest:
        char, rest = rest[0], rest[1:]
        if char.isdigit():
            number += char
        elif char == "." and number:
            parts, number = [*parts, ""], ""
        else:
            parts[-1], number = parts[-1] + number + char, ""
    parts[-1] += number
    assert items == [part.strip() for part in parts if part.strip()]


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


def test_two_lists_that_differ_are_no_choice() -> None:
    assert chosen_numbers("[1, 2] or rather [2, 1]", 2, 3) is None
    assert chosen_numbers("[1, 2], as I said: [1, 2]", 2, 3) == [1, 2]
