"""The benchmark's file names: `{first 180 characters of the prompt}-{sample}.mp4`. Pure.

Characters are Unicode code points of the original English prompt, unchanged: nothing is normalised, and a space at the
end of the 180 stays. The official evaluator finds a clip by exactly this name and nothing else.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

MAX_STEM_CHARS: Final = 180
"""Characters of the prompt that a file name keeps."""
SUFFIX: Final = ".mp4"
"""The only extension that all parts of the official scoring can read."""
FORBIDDEN: Final = frozenset('/\\:*?"<>|\0')
"""Characters that a file name cannot have on some system."""
MAX_NAME_BYTES: Final = 255
"""Longest file name of common file systems, bytes of UTF-8."""
_NUMBERED: Final = re.compile(r"^(?P<stem>.+)-(?P<sample>0|[1-9]\d{0,3})\.mp4$", re.DOTALL)
_NO_MATTER: Final = re.compile(r"-(?!\d)|[^\w-]|_")
"""What damage changes or loses: everything except letters, digits, and hyphens before a digit."""


def stem(prompt: str) -> str:
    """The part of the file name that stands for the prompt: its first 180 code points."""
    return prompt[:MAX_STEM_CHARS]


def file_name(prompt: str, sample: int) -> str:
    """Name of a clip.

    Args:
        prompt: the original English prompt, whatever text the model was given.
        sample: which clip of the prompt: 0, 1, ...
    """
    return f"{stem(prompt)}-{sample}{SUFFIX}"


def parse(name: str) -> tuple[str, int] | None:
    """Stem and sample number of a file name; None if it is not of that form.

    Args:
        name: without folders.
    """
    found = _NUMBERED.match(name)
    return (found["stem"], int(found["sample"])) if found else None


def last_part(path: str) -> str:
    """The file name in a path of any system: everything after the last slash or backslash."""
    return re.split(r"[/\\]", path)[-1]


class Lookup:
    """Finds the prompt for a damaged file name.

    Copying between systems and tools changes names: decomposed accents, plain instead of curly apostrophes, a space
    lost before the number, the whole prompt instead of its first 180 characters, underscores for spaces.
    """

    def __init__(self, prompts: Iterable[str]) -> None:
        """Index the prompts; a spelling that two of them share finds neither."""
        self._exact: dict[str, str] = {}
        folded: dict[str, set[str]] = {}
        for prompt in prompts:
            self._exact[stem(prompt)] = prompt
            for form in (_folded(stem(prompt)), _folded(prompt)):
                folded.setdefault(form, set()).add(prompt)
        self._folded = {form: min(found) for form, found in folded.items() if len(found) == 1}

    def exact(self, name_stem: str) -> str | None:
        """The prompt whose file names start with exactly this stem; None if there is none."""
        return self._exact.get(name_stem)

    def near(self, name_stem: str) -> str | None:
        """The prompt of a stem, exact or damaged in a known way; None if there is none."""
        return self._exact.get(name_stem) or self._folded.get(_folded(name_stem))


def _folded(text: str) -> str:
    """Letters, digits and minus signs, composed and case-folded: what survives all the usual damage.

    A hyphen before a digit stays, since some prompts differ only in the sign of a temperature.
    """
    return _NO_MATTER.sub("", unicodedata.normalize("NFC", text).casefold())
