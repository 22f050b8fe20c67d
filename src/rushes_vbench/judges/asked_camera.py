"""Which camera motion a prompt asks for, read from its words. Pure.

The benchmark names the motion of each of its prompts beside the text. Prompts that a language model wrote have only
the text. Every label of the benchmark has patterns here; a text with no label, or with several, is not guessed at.
"""

from __future__ import annotations

import re
from typing import Final

from rushes.records import Unscored

_SLOWLY: Final = r"(?:\W+\w+ly)?"
"""An adverb that may stand between a verb and its direction."""
_TOWARDS: Final = r"(?:\W+(?:to|towards?)(?:\W+the)?)?"
_MOVES: Final = r"(?:mov|push|doll|track|glid|driv|fl|travel|creep|inch)(?:y|e|es|ies|s|ing|ying|eying|ly)?"

_LABELS: Final[dict[str, tuple[str, ...]]] = {
    "zoom_in": (
        rf"\bzoom(?:s|ed|ing)?{_SLOWLY}\W+in\b",
        rf"\b(?:camera|shot|view)\W+(?:\w+ly\W+)?{_MOVES}{_SLOWLY}\W+(?:in|closer|forwards?)\b",
        r"\b(?:push|dolly)(?:es|ing)?[\W_]in\b",
    ),
    "zoom_out": (
        rf"\bzoom(?:s|ed|ing)?{_SLOWLY}\W+out\b",
        rf"\b(?:camera|shot|view)\W+(?:\w+ly\W+)?(?:{_MOVES}|pull(?:s|ing)?){_SLOWLY}\W+(?:out|back|away|backwards?)\b",
        r"\b(?:pull|dolly)(?:s|ing)?[\W_](?:out|back)\b",
    ),
    **{
        f"pan_{side}": (
            rf"(?<!frying )(?<!sauce )\bpan(?:s|ned|ning)?{_SLOWLY}{_TOWARDS}\W+{side}(?:wards?)?\b",
            rf"\bcamera\b[^.;]*?\bpan(?:s|ned|ning)?\b[^.;,]*?\b{side}(?:wards?)?\b",
            rf"\b{side}ward pan\b",
        )
        for side in ("left", "right")
    },
    **{
        f"tilt_{side}": (
            rf"\btilt(?:s|ed|ing)?{_SLOWLY}\W+{side}(?:wards?)?\b",
            rf"\bcamera\b[^.;]*?\btilt(?:s|ed|ing)?\b[^.;,]*?\b{side}(?:wards?)?\b",
        )
        for side in ("up", "down")
    },
    "static": (
        r"\b(?:static|stationary|locked[\W_]off|fixed)\W+(?:camera|shot|frame|view)\b",
        r"\bcamera(?:\W+(?:movement|position))?\W+(?:is|stays|remains|stands|holds|keeps)\W+(?:\w+ly\W+)?"
        r"(?:static|stationary|fixed|still|motionless|locked)\b",
        r"\b(?:camera does not|camera doesn't|without any camera) mov(?:e|ement)\b",
    ),
    "orbits": (
        rf"\b(?:camera|shot|view)\W+(?:\w+ly\W+)?(?:orbit|circl|revolv|rotat)(?:s|es|e|ing){_SLOWLY}\b",
        r"\b(?:orbit(?:al|ing)?|circling|arc)\W+(?:camera|shot)\b",
    ),
    "oblique": (r"\boblique\W+(?:shot|angle|camera|view)\b",),
}
_NOT: Final = re.compile(r"\b(?:not|never|no|without|instead of)\b[^.;,]*$|n't\b[^.;,]*$")
"""Before the end of a motion, in the same part of a sentence: the prompt says that it does not happen."""


def asked_motion(text: str) -> str | Unscored:
    """The camera label that a prompt asks for, as the benchmark names it; the reason if there is not exactly one.

    Args:
        text: the prompt, English.
    """
    words = " ".join(text.casefold().replace("\u2019", "'").split())
    found = [label for label in _LABELS if _is_asked(words, label)]
    if len(found) == 1:
        return found[0]
    if not found:
        return Unscored(reason="the prompt names no camera motion that this judge knows: " + ", ".join(_LABELS))
    return Unscored(reason=f"the prompt names several camera motions ({', '.join(found)}); this judge checks one")


def _is_asked(words: str, label: str) -> bool:
    found = [each for pattern in _LABELS[label] for each in re.finditer(pattern, words)]
    # "does not move" is itself a way to ask for a still camera.
    ends = [each.start() if label == "static" else each.end() for each in found]
    return any(_NOT.search(words[:end]) is None for end in ends)
