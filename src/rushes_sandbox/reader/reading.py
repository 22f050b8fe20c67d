"""What a prompt states, as facts: which things there are, what each does and when, what the camera does.

One pass from left to right over the words, longest known phrase first. Plain sentences about coloured shapes are read
completely. In other texts only the known phrases are read, and the remaining words are kept; nothing is ever guessed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from rushes.prompts.language import ARTICLES, is_filler, words
from rushes_sandbox.reader.facts import CAMERA, NATURAL_WAY, UNKNOWN, Fact, Noun, Reading
from rushes_sandbox.reader.phrases import COLOURS, LONGEST_PHRASE, NUMBERS, PHRASES, SIZES, shape_of

_MOST_WORDS: Final = 512
"""Words that are understood. Of a longer text, which no model of this world reads, the others are compared one by one:
facts are looked up among all before them, so reading without a limit would take time quadratic in the text."""


def read(text: str) -> Reading:
    """Read a prompt. Every text can be read, in the worst case as words that are not understood."""
    reader = _Reader(text)
    while reader.at < min(len(reader.words), _MOST_WORDS):
        reader.step()
    reader.rest += reader.words[reader.at :]
    return reader.finish()


class _Reader:
    """The state of one pass over a text."""

    def __init__(self, text: str) -> None:
        found = words(text)
        self.words = [word for word in found if word not in ARTICLES]
        kept = [i for i, word in enumerate(found) if word not in ARTICLES]
        self.definite = [i > 0 and found[i - 1] == "the" for i in kept]
        self.at = 0
        self.nouns: list[Noun] = []
        self.facts: list[Fact] = []
        self.setting: list[Fact] = []
        self.rest: list[str] = []
        self.subjects: list[str] = [UNKNOWN]
        self.last: str = UNKNOWN
        """The last mentioned thing that is not the subject."""
        self.open: Fact | None = None
        """A fact that still lacks its second thing."""
        self.verb = ""
        self.when = 0
        self.is_timed = False
        self.in_list = False
        """True right after a noun, where "and" or a comma continues the list of subjects."""

    def step(self) -> None:
        """Read the next noun, phrase or word."""
        if self._background() or self._noun():
            return
        for length in range(min(LONGEST_PHRASE, len(self.words) - self.at), 0, -1):
            phrase = tuple(self.words[self.at : self.at + length])
            if phrase in PHRASES:
                kind, value = PHRASES[phrase]
                self.at += length
                self._phrase(kind, value, phrase)
                return
        self._other_word(self.words[self.at])

    # ---------------------------------------------------------------- nouns

    def _background(self) -> bool:
        """`on a W background`, for any word W."""
        preposition, colour, noun = (*self.words[self.at : self.at + 3], "", "", "")[:3]
        if preposition not in ("on", "against", "with", "before") or noun != "background":
            return False
        self.setting.append(Fact("background", UNKNOWN, colour))
        self.at += 3
        self.in_list = False
        return True

    def _noun(self) -> bool:
        i, definite = self.at, self.definite[self.at]
        number: int | None = None
        if self.words[i] in NUMBERS or self.words[i] == "another":
            number, i = NUMBERS.get(self.words[i], 1), i + 1
        sizes, colours, shapes, is_plural = [], [], [], False
        while i < len(self.words) and self.words[i] in SIZES:
            sizes.append(SIZES[self.words[i]])
            i += 1
        while i < len(self.words) and self.words[i] in COLOURS:
            colours.append(self.words[i])
            i += 1
        while i < len(self.words) and (shape := shape_of(self.words[i])) is not None:
            shapes.append(shape[0])
            is_plural = is_plural or shape[1]
            i += 1
        if not shapes:
            return False
        self.at = i
        stated = number if number is not None else (0 if is_plural else 1)
        self._mention(Noun(stated, tuple(sizes), tuple(colours), tuple(shapes)), definite)
        return True

    def _mention(self, noun: Noun, definite: bool) -> None:
        known = [each for each in self.nouns if set(noun.name.split()) <= set(each.name.split())] if definite else []
        noun = known[-1] if known else noun
        if not known:
            self.nouns.append(noun)
        if self.open is not None:
            self._close(noun.name)
            return
        # "a and b, the a moves": a thing mentioned again starts a new clause.
        self.subjects = [*self.subjects, noun.name] if self.in_list and not known else [noun.name]
        self.verb, self.in_list = "", True

    def _close(self, name: str) -> None:
        """Complete the open fact with its second thing."""
        assert self.open is not None
        for subject in self.subjects:
            self.facts.append(replace(self.open, who=subject, other=name, when=self.when))
        self.last, self.open = name, None

    # ---------------------------------------------------------------- phrases

    def _phrase(self, kind: str, value: str, phrase: tuple[str, ...]) -> None:
        handler = getattr(self, f"_on_{kind}", None)
        if self.open is not None and kind not in ("it", "nothing"):
            # "touches" with nothing after it: the second thing is unknown.
            self._close(UNKNOWN)
        if kind not in ("it", "which", "nothing"):
            self.in_list = False
        if handler is not None:
            handler(value, phrase)
        elif kind in ("do", "grow"):
            self._say(kind, value)
            self.verb = value

    def _say(self, kind: str, value: str = "", when: int | None = None) -> None:
        self.facts += [Fact(kind, who, value, when=self.when if when is None else when) for who in self.subjects]

    def _on_direction(self, value: str, phrase: tuple[str, ...]) -> None:
        if self.subjects == [CAMERA]:
            self._say("camera", f"pan_{value}")
        elif self.verb in NATURAL_WAY and value in ("up", "down"):
            if value != NATURAL_WAY[self.verb]:
                self._say("move", value)
        elif self.verb in ("move", "touch", "push", *NATURAL_WAY):
            self._say("move", value)
        else:
            self.rest.append(value)

    def _on_relation(self, value: str, phrase: tuple[str, ...]) -> None:
        if self.subjects == [CAMERA]:
            self.in_list = False
            self.subjects = [UNKNOWN]  # "over a red circle": what the camera sees, not where it is
            return
        kind = {"start": "at_start", "end": "at_end", "move": "at_move"}.get(self.verb, "at")
        self.open = Fact(kind, UNKNOWN, value)

    def _on_move(self, value: str, phrase: tuple[str, ...]) -> None:
        self.verb = "move"

    def _on_turn(self, value: str, phrase: tuple[str, ...]) -> None:
        self._turn(None)

    def _on_change(self, value: str, phrase: tuple[str, ...]) -> None:
        start = self._colour()
        if self.at < len(self.words) and self.words[self.at] in ("to", "into"):
            self.at += 1
        self._turn(start)

    def _turn(self, start: str | None) -> None:
        end = self._colour()
        if end is None:
            self.rest.append("turns")
            return
        for who in self.subjects:
            own = next((word for word in who.split() if word in COLOURS), None)
            self.facts.append(Fact("turn", who, end, when=self.when))
            if start is not None and own is not None:
                self.facts.append(Fact("is", who, start, when=self.when))
            elif start is not None:
                self._recolour(who, start)
        self.verb = ""

    def _recolour(self, who: str, colour: str) -> None:
        """`a circle changes its colour from red`: the thing is a red circle."""
        name = who
        for i, noun in enumerate(self.nouns):
            if noun.name == who:
                self.nouns[i] = replace(noun, colours=(colour,))
                name = self.nouns[i].name
        self.facts = [replace(fact, who=name) if fact.who == who else fact for fact in self.facts]
        self.subjects = [name if subject == who else subject for subject in self.subjects]

    def _colour(self) -> str | None:
        if self.at < len(self.words) and self.words[self.at] in COLOURS:
            self.at += 1
            return self.words[self.at - 1]
        return None

    def _on_still(self, value: str, phrase: tuple[str, ...]) -> None:
        if self.subjects == [CAMERA]:
            self.setting.append(Fact("camera", CAMERA, "still"))
        else:
            self._say("still")

    def _on_onto(self, value: str, phrase: tuple[str, ...]) -> None:
        self.open, self.verb = Fact(value, UNKNOWN), value

    def _on_when(self, value: str, phrase: tuple[str, ...]) -> None:
        self.verb = value

    def _on_then(self, value: str, phrase: tuple[str, ...]) -> None:
        self.when, self.is_timed = self.when + 1, True

    def _on_after(self, value: str, phrase: tuple[str, ...]) -> None:
        self.when, self.is_timed = self.when - 1, True

    def _on_camera(self, value: str, phrase: tuple[str, ...]) -> None:
        self.subjects, self.verb = [CAMERA], "move"

    def _on_still_camera(self, value: str, phrase: tuple[str, ...]) -> None:
        self.setting.append(Fact("camera", CAMERA, "still"))
        if phrase[0] not in ("with", "filmed"):
            self.subjects = [CAMERA]

    def _on_pan(self, value: str, phrase: tuple[str, ...]) -> None:
        self.verb = "move"

    def _on_zoom(self, value: str, phrase: tuple[str, ...]) -> None:
        self.facts.append(Fact("camera", CAMERA, f"zoom_{value}", when=self.when))

    def _on_it(self, value: str, phrase: tuple[str, ...]) -> None:
        if self.open is not None:
            self._close(self.last if self.last != UNKNOWN else self.subjects[0])
            self.in_list = False

    def _on_which(self, value: str, phrase: tuple[str, ...]) -> None:
        if self.last != UNKNOWN:
            self.subjects, self.verb = [self.last], ""

    def _other_word(self, word: str) -> None:
        self.at += 1
        if word == "to" and self._noun_follows():
            self.open = Fact("stop", UNKNOWN)
        elif word in COLOURS and self.at > 1 and self.words[self.at - 2] in ("is", "are"):
            self._say("is", word)
        elif word in ("and", ",") or is_filler(word):
            self.in_list = self.in_list and word in ("and", ",")
        else:
            # An unknown word may be another subject, so what follows is not about the things known so far.
            self.rest.append(word)
            self.in_list = False
            if not word.endswith("ly"):
                self.subjects, self.last = [UNKNOWN], UNKNOWN

    def _noun_follows(self) -> bool:
        known = (COLOURS, SIZES, NUMBERS)
        follows = self.words[self.at : self.at + 4]
        while follows and any(follows[0] in words for words in known):
            follows = follows[1:]
        return bool(follows) and shape_of(follows[0]) is not None

    # ---------------------------------------------------------------- the end

    def finish(self) -> Reading:
        """Determine the order in time and drop repeated facts."""
        if self.open is not None:
            self._close(UNKNOWN)
        facts = _placed(self.facts)
        ranks = {when: rank for rank, when in enumerate(sorted({fact.when for fact in facts}))}
        timed = [replace(fact, when=ranks[fact.when]) for fact in facts]
        met = {(fact.who, fact.other) for fact in timed if fact.kind in ("push", "stop")}
        held = {fact.other for fact in timed if fact.kind == "stop"}
        said = frozenset(
            fact
            for fact in timed
            if not (fact.kind == "touch" and (fact.who, fact.other) in met)
            and not (fact.kind == "still" and fact.who in held)
        )
        return Reading(tuple(self.nouns), said, frozenset(self.setting), tuple(self.rest), self.is_timed)


def _placed(facts: list[Fact]) -> list[Fact]:
    """Give the relations of a pair their times: start and end as stated, or in the order of the words."""
    placed: list[Fact] = []
    first: dict[tuple[str, str], int] = {}
    for fact in facts:
        pair = (fact.who, fact.other)
        if fact.kind == "at_start":
            fact = replace(fact, kind="at", when=-1)
        elif fact.kind == "at_end":
            fact = replace(fact, kind="at", when=fact.when + 1)
        elif fact.kind == "at_move":
            fact = replace(fact, kind="at", when=max(fact.when, first.get(pair, fact.when - 1) + 1))
        if fact.kind == "at":
            first.setdefault(pair, fact.when)
        placed.append(fact)
    return placed
