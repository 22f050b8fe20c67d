"""The benchmark's file names: `{first 180 characters of the prompt}-{sample}.mp4`. Pure.

Characters are Unicode code points of the original English prompt, unchanged: nothing is normalised, and a space at the
end of the 180 stays. The official evaluator finds a clip by exactly this name and nothing else.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from typing import Final
from urllib.parse import unquote_to_bytes

MAX_STEM_CHARS: Final = 180
"""Characters of the prompt that a file name keeps."""
SUFFIX: Final = ".mp4"
"""The only extension that all parts of the official scoring can read."""
OTHER_SUFFIXES: Final = (".mov", ".m4v", ".mkv", ".webm", ".avi", ".gif")
"""Other video files, which our own scoring reads as well."""
FORBIDDEN: Final = frozenset('/\\:*?"<>|\0')
"""Characters that a file name cannot have on some system."""
MAX_NAME_BYTES: Final = 255
"""Longest file name of common file systems, bytes of UTF-8."""
_NUMBERED: Final = re.compile(r"^(?P<stem>.+)-(?P<sample>0|[1-9]\d{0,3})\.mp4$", re.DOTALL)
_LOOSE: Final = re.compile(
    r"(?P<stem>.+?)\s*-(?P<sample>0|[1-9]\d{0,3})\s*(?:\(\d+\)|- copy(?: \(\d+\))?|copy(?: \d+)?)?(?:\.mp4)+",
    re.DOTALL | re.IGNORECASE,
)
"""The same with a suffix in capitals or twice, and with what browsers and file managers add to a second copy."""
_CODINGS: Final = ("utf-8", "gb18030", "cp1252", "latin-1")
"""In which the bytes of a name may be, and with which a name in UTF-8 is read by mistake."""
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


def readings(name: str) -> list[tuple[str, int]]:
    """What a file name may mean: stem and sample, the most literal reading first; each once, and possibly none.

    Undone are percent signs of addresses (%20), a suffix in capitals, a copy's number, and mojibake: UTF-8 that was
    read as GBK or Latin-1, or bytes of these where a system expects UTF-8.

    Args:
        name: without folders, as Python's `os` gives it (bytes that are no UTF-8 as lone surrogates).
    """
    texts = [name, *_decoded(name)]
    if "%" in name:
        unquoted = unquote_to_bytes(name.encode("utf-8", "surrogateescape")) if _is_encodable(name) else b""
        texts += _in_any_coding(unquoted)
        texts += [each for text in _in_any_coding(unquoted) for each in _decoded(text)]
    found = [parse(text) for text in texts]
    for text in texts:
        loose = _LOOSE.fullmatch(text)
        # The stem's own spaces stay where the strict form fits; here the last one may be lost.
        found += [(loose["stem"], int(loose["sample"]))] if loose else []
    return list(dict.fromkeys(each for each in found if each is not None))


def _decoded(name: str) -> list[str]:
    """Other texts that the bytes of a name can be."""
    found: list[str] = []
    if not name.isascii():
        if _is_encodable(name):
            found += _in_any_coding(name.encode("utf-8", "surrogateescape"))
        for coding in _CODINGS[1:]:
            with suppress(UnicodeError):
                found.append(name.encode(coding).decode("utf-8"))
    return [text for text in found if text != name]


def _in_any_coding(data: bytes) -> list[str]:
    found: list[str] = []
    for coding in _CODINGS:
        with suppress(UnicodeError):
            found.append(data.decode(coding))
    return found


def _is_encodable(name: str) -> bool:
    """False for a lone surrogate that stands for no byte."""
    return not any("\ud800" <= letter < "\udc80" or "\udcff" < letter <= "\udfff" for letter in name)


def last_part(path: str) -> str:
    """The file name in a path of any system: everything after the last slash or backslash."""
    return re.split(r"[/\\]", path)[-1]


class Lookup:
    """Finds the prompt for a damaged file name.

    Copying between systems and tools changes names: decomposed accents, plain instead of curly apostrophes, a space
    lost before the number, the whole prompt instead of its first 180 characters, underscores for spaces; and what
    `readings` undoes.
    """

    def __init__(self, prompts: Iterable[str]) -> None:
        """Index the prompts; a spelling that two of them share finds neither."""
        self._exact: dict[str, str] = {}
        folded: dict[str, set[str]] = {}
        in_ascii: dict[str, set[str]] = {}
        for prompt in prompts:
            self._exact[stem(prompt)] = prompt
            for text in (stem(prompt), prompt):
                folded.setdefault(_folded(text), set()).add(prompt)
                in_ascii.setdefault(_ascii(text), set()).add(prompt)
        self._folded, self._ascii = (
            {form: min(found) for form, found in forms.items() if len(found) == 1} for forms in (folded, in_ascii)
        )

    def exact(self, name_stem: str) -> str | None:
        """The prompt whose file names start with exactly this stem; None if there is none."""
        return self._exact.get(name_stem)

    def near(self, name_stem: str) -> str | None:
        """The prompt of a stem, exact or damaged in a known way; None if there is none."""
        return self._exact.get(name_stem) or self._folded.get(_folded(name_stem))

    def read(self, name: str) -> tuple[str, int] | None:
        """Prompt and sample of a file name, exact or damaged in a known way; None if it is neither.

        Args:
            name: without folders.
        """
        found = readings(name)
        for prompt_of in (self.exact, self.near, self._letters):
            for name_stem, sample in found:
                if (prompt := prompt_of(name_stem)) is not None:
                    return prompt, sample
        return None

    def _letters(self, name_stem: str) -> str | None:
        """The one prompt with the same letters and digits of ASCII, whatever became of the others."""
        return self._ascii.get(_ascii(name_stem))


def _folded(text: str) -> str:
    """Letters, digits and minus signs, composed and case-folded: what survives all the usual damage.

    A hyphen before a digit stays, since some prompts differ only in the sign of a temperature.
    """
    return _NO_MATTER.sub("", unicodedata.normalize("NFC", text).casefold())


def _ascii(text: str) -> str:
    """`_folded` without anything beyond ASCII, for mojibake that cannot be undone."""
    return "".join(letter for letter in _folded(text) if letter.isascii())
