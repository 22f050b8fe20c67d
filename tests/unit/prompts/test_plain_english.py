"""Everyday prompts: contradictions are found, possible ones are never refused, and any text is read in linear time."""

from __future__ import annotations

import re

import pytest

from rushes.prompts.everyday import everyday_rules
from rushes.prompts.plain_english import PlainEnglish
from rushes.prompts.screen import screen
from rushes.recipe.prompts import ScreenSpec
from rushes.records import Prompt
from tests.support.everyday import Half, prompts, rates
from tests.support.pages import ROOT

READER = PlainEnglish()

CAUGHT = {
    "The lift goes up and down at the same time.": "both ways at once",
    "The camera zooms out and zooms in simultaneously.": "both at once",
    "A shop is wide open and closed at once.": "both at once",
    "A tray, empty and full at once.": "empty and full at once",
    "A cat moving forwards and backwards at once.": "both ways at once",
    "The gate is both open and shut, and a dog waits.": "both at once",
    "A tall, short woman.": "both at once",
    "A boy sitting while standing on a chair.": "both at once",
    "A woman standing still while walking along the shore.": "still and moving",
    "Static shot of a lake, the camera pans to a boat.": "still and moving",
    "A sunny midnight in the desert.": "day and night",
    "A market at night in bright sunlight.": "day and night",
    "A bald man combing his long hair.": "said and denied",
    "It\u2019s night and day at the same time in the village.": "day and night at once",
    "A boy plays indoors and outdoors at the same time.": "indoors and outdoors at once",
    "The sealed window stands fully open, and a bird flies in.": "open and closed",
    "A deserted railway station crowded with loud commuters.": "empty and full",
    "On the table stands an empty jug that is full of milk.": "empty and full",
    "An old man sits absolutely motionless on a chair while dancing.": "still and moving",
    "A locked-off camera slowly tilts up a tower.": "still and moving",
    "Boats lie in the harbour at midnight in broad daylight.": "day and night",
    "Exactly two red kites hang in the sky and the four kites dance.": "two numbers of the same things",
    "A monk prays completely alone together with his friends.": "alone and with others",
    "The dog isn't barking. A kettle whistles and does not whistle.": "said and denied",
    "An outdoor shot filmed indoors.": "indoors and outdoors",
}
"""A prompt for every kind of contradiction, in words of its own."""

FINE = [
    "the empty street fills with people",
    "A valley from day to night.",
    "two cats, then a third one comes",
    "An empty church full of sunlight.",
    "An empty stadium full of blue seats.",
    "A deserted village full of tourists.",
    "Only one boy wears a hat, and the two boys laugh.",
    "The tide rises and falls at the same time every day.",
    "On a sunny day a cook prepares dishes at night market stalls.",
    "An empty can lies in a bin full of bottles.",
    "The open window is closed by the wind.",
    "The closed shop's door is open.",
    "The baby is asleep and awake parents watch it.",
    "A man sits while standing guards watch him.",
    "Static shot of a security camera that pans left and right.",
    "Two people walking forwards and backwards at the same time.",
    "A closed laptop lies on an open notebook.",
    "A motionless dog runs through the door when its owner calls.",
    "The words \"a closed open door\" in red light on a wall.",
    "A girl in a poster: a closed gate stands open.",
    "A parked truck drives off.",
    "A stationary engine runs on petrol.",
    "A boy stands perfectly still while walking sticks lean beside him.",
    "A guard stands motionless while moving clouds pass behind him.",
    "A deer stands still as he runs past it.",
    "A ventriloquist speaks without moving his lips.",
    "A horse walks past a guard who stands without moving.",
    "A still camera captures a train as it races past.",
    "Boats move left and right on the river at the same time.",
    "A drummer rises and falls at the same time as the music.",
    "People who work at night eat lunch at noon.",
    "A lighthouse at midnight, a beach at noon.",
    "At night a lamp shines like the noon sun.",
    "A single mother walks with her twins, and both of them laugh.",
    "Two girls with a dog, and all three of them jump.",
    "Two girls feed ducks, and all five of them make noise.",
    "Exactly one dog sits in the grass and the two dogs on the road run.",
    "A woman is alone with her two children.",
    "A girl sings and does not dance.",
    "A dog is running and a cat is not running.",
    "A bald man brushes his daughter's long hair.",
    "A dog runs inside and outside the children play.",
    "A hairless cat sits on a woman with long hair.",
    "A treeless hill with a view of distant trees.",
    "A toothless man brushes his dog's teeth.",
    "An empty glass is filled with water by a waiter.",
    "A parked car rolls slowly down the hill.",
    "A motionless guard, and a fan spins behind him.",
    "In an empty church, two children light a candle.",
    "A swallow dives over a dried-up lake.",
    "A lone tree surrounded by fields.",
    "Exactly two red kites and three blue kites rise.",
    "A single candle burns on the cake, all the others are out.",
    "A pair of boots, all of them muddy.",
    "A barefoot girl carries her shoes on her head.",
    "The kettle is hot, but the cup is not hot.",
    "A man rows without growing tired.",
    "She plays the piano without playing a wrong note.",
    "A boy walks forward while the girl walks backward.",
    "A child reads indoors, and a dog waits out in the yard.",
    "A frozen lake, and a stream that flows freely.",
    "Her eyes closed, she kisses the boy, who keeps his eyes open.",
]  # fmt: skip


@pytest.mark.parametrize(("text", "what"), CAUGHT.items())
def test_every_kind_of_contradiction_is_found(text: str, what: str) -> None:
    found = READER.objection(text)
    assert found is not None and found.reason == "contradiction"
    assert found.detail.startswith(f"{what}: ")


def test_every_kind_has_its_prompt() -> None:
    rules = everyday_rules()
    assert {rule.what for rule in (*rules.at_once, *rules.states)} == set(CAUGHT.values())


@pytest.mark.parametrize("text", FINE)
def test_what_can_be_filmed_passes(text: str) -> None:
    assert READER.objection(text) is None


@pytest.mark.parametrize("half", ["development", "test", "later"])
def test_no_possible_prompt_is_refused_and_the_page_says_how_many_impossible_ones_are(half: Half) -> None:
    """Of the test half only counts are looked at: the rules are not developed on it."""
    chosen = prompts(half)
    found = rates(chosen)
    assert (found.num_impossible, found.num_possible) == (50, 50)
    assert found.num_lost == 0
    page = (ROOT / "docs" / "screen.md").read_text(encoding="utf-8")
    assert f"{half} {'set' if half == 'later' else 'half'}: {found}" in page, (
        "run python -m tests.support.everyday and copy what it says"
    )


def test_a_text_about_shapes_is_nothing_special() -> None:
    for text in ("a red circle square", "a red blue circle moves up", "a red circle turns red", "a cross falls up"):
        assert READER.objection(text) is None


def test_every_rule_reads_in_linear_time() -> None:
    """No repeat without an upper bound, and words are cut off at a length: a rule takes bounded time at each word."""
    rules = everyday_rules()
    patterns = [rule.pattern for rule in (*rules.at_once, *rules.states)]
    for pattern in (*patterns, rules.change, rules.elsewhere):
        bare = re.sub(r"\\.|\[[^]]*\]", "", pattern.pattern)
        assert not re.search(r"[*+]|\{\d+,\}", bare), pattern.pattern
        assert all(int(most) <= 40 for most in re.findall(r"\{\d+,(\d+)\}", bare)), pattern.pattern


ODD = {
    "nothing": "", "control": "\x00\x1b[31m\u202e\u200b\ud800" * 1500, "long": "a" * 10_000, "word": "empty " * 2_000,
    "quotes": "don't'" * 2_000, "chinese": "空的街道满是人。" * 1_250, "arabic": "شارع فارغ مليء بالناس " * 450,
    "emoji": "👩🟥" * 1_500, "combining": "e\u0301\u0300" * 3_000, "marks": ",.;:!?" * 2_000, "lines": "\n\t a" * 2_500,
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_texts_are_read_and_not_objected_to(name: str) -> None:
    assert READER.objection(ODD[name]) is None
    READER.content(ODD[name], with_background=False)


def test_a_contradiction_is_found_among_odd_text() -> None:
    text = "空的街道。 \x1b[0m\u200b " + "very " * 2_000 + ". The closed  door\nstands open"
    assert READER.objection(text) is not None


SAME = [
    ("a cheese melts on the table", "on the table, a cheese melts"),
    ("A dog slides to the left.", "the dog moves left"),
    ("from the roof jumps a cat", "a cat jumps from the roof"),
    ("a cat sleeps", "a cat sleeps, filmed with a still camera"),
]
DIFFERENT = [
    ("the cat sleeps, then it runs", "the cat runs, then it sleeps"),
    ("a cat sleeps", "a cat runs"),
    ("two dogs run", "three dogs run"),
    ("a wall changes from black to white", "a wall changes from white to black"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_said_otherwise_is_the_same_content(one: str, other: str) -> None:
    assert READER.content(one, with_background=True) == READER.content(other, with_background=True)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_content_is_told_apart(one: str, other: str) -> None:
    assert READER.content(one, with_background=True) != READER.content(other, with_background=True)


def test_the_background_counts_only_where_asked() -> None:
    one, other = "a vase on a grey background", "a vase against a striped background"
    assert READER.content(one, with_background=True) != READER.content(other, with_background=True)
    assert READER.content(one, with_background=False) == READER.content(other, with_background=False)


def test_the_screen_refuses_by_it_unless_another_reader_is_named() -> None:
    text = "A closed door stands open."
    draft = Prompt(key="0" * 64, text=text, base_text=text, dimension="Mechanics", origin="weakness", index=0)
    (found,) = screen([draft], evaluation=(), spec=ScreenSpec()).rejections
    assert (found.reason, found.detail) == ("contradiction", "open and closed: 'closed door stands open'")
