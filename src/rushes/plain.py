"""Text that is safe to show: no control character reaches a terminal, and nothing shaped like a key is printed.

Every part may use it.
"""

from __future__ import annotations

import re
from typing import Final

from rushes import known_keys

HIDDEN: Final = "[hidden]"
"""Stands where a key was."""

_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What moves the cursor, changes a terminal's state or the direction of a line, or cannot be written as UTF-8."""
_SECRET_NAME: Final = re.compile(
    r"key(?!_?env)|(?<!max_)token(?!iz)|secret|passw|passphrase|pwd|credential|authori[sz]ation|bearer|cookie", re.I
)
_IN_URL: Final = re.compile(r"(?<=//)(?:[^\s/?#@]*:[^\s@]*|[^\s/?#@]+)@")
_IN_QUERY: Final = re.compile(rf"([?&][\w.-]*(?:{_SECRET_NAME.pattern})[\w.-]*=)[^\s&#'\"]+", re.I)
_AFTER_WORD: Final = re.compile(r"\b(bearer|basic)(\s+)(?=[\w.~+/=-]*\d|\S{16})[\w.~+/=-]{6,}", re.I)
_KEY_NAME: Final = r"(?:(?:api|access|auth|private|account|hub|hf)[-_]?(?:key|token)|secret|passw(?:or)?d|passphrase)"
_HAS_NAME: Final = re.compile(rf"{_KEY_NAME}|token", re.I)
_VALUE: Final = r"(?=\w)[^\s'\",;&]{6,}"
_ASSIGNED: Final = re.compile(
    rf"""((?<![\w-])(?:[\w-]*{_KEY_NAME}|token)(?:['"]?\s?=\s?['"]?|['"]?\s?:\s?['"])){_VALUE}""", re.I
)
_OPTION: Final = re.compile(rf"((?<![\w-])--(?:[\w-]*{_KEY_NAME}|(?:[\w-]*-)?token)\s+){_VALUE}", re.I)
"""A key after its name, as in a command line, a shell's assignment or a printed mapping."""
_MARKED: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:sk|rk|hf|gh[pousr]|github_pat|glpat|xox[a-z]|gsk|r8|nvapi|pplx|csk|xai)[-_]"
    r"(?:(?=[\w-]*\d)[\w-]*[A-Za-z0-9]{8}[\w-]*|[\w-]*[A-Za-z0-9]{16}[\w-]*)"
    r"|AIza[\w-]{16,}|A[KS]IA[A-Z0-9]{12,}|eyJ[\w-]{8,}\.[\w.-]+)"
)
"""Keys with the marks that their issuers give them, and JSON web tokens."""
_RUN: Final = re.compile(r"[A-Za-z0-9]{24,}")
_CHANGE: Final = re.compile(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[A-Z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])")
"""Where the kind of letter changes, except from a capital to a small one, as words in one name have it."""


def plain(text: str) -> str:
    """`text` with control characters, other than newline and tab, written as escapes: `\\x1b`."""
    return _CONTROL.sub(_escape, text)


def plain_json(text: str) -> str:
    """JSON with control characters as JSON writes them, `\\u009b`: a terminal that shows the text obeys none."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def hidden(text: str) -> str:
    """`text` without what is shaped like a key.

    That is a password in a URL, a credential after `Bearer`, a value after the name of a key (`API_KEY=...`,
    `--password ...`, `"token": "..."`), a key with its issuer's mark (`sk-...`, `hf_...`), and a long run of random
    letters and digits. Hashes are left: they are random, but in small hexadecimal digits only.
    """
    text = _IN_URL.sub(f"{HIDDEN}@", text)
    text = _IN_QUERY.sub(rf"\1{HIDDEN}", text)
    text = _AFTER_WORD.sub(rf"\1\2{HIDDEN}", text)
    if _HAS_NAME.search(text):
        text = _OPTION.sub(rf"\1{HIDDEN}", _ASSIGNED.sub(rf"\1{HIDDEN}", text))
    text = _MARKED.sub(HIDDEN, text)
    return _RUN.sub(lambda run: HIDDEN if _is_random(run[0]) else run[0], text)


def hidden_line(line: str) -> str:
    """A line as a person typed it, `name: value` or `name=value`, without the value if the name is that of a key."""
    line = hidden(line)
    for sign in re.finditer(r"[:=]", line):
        if names_secret(re.split(r"[\s,{]", line[: sign.start()].rstrip())[-1]):
            return f"{line[: sign.end()]} {HIDDEN}"
    return line


def names_secret(name: str) -> bool:
    """Whether a setting of that name may hold a key: `api_key`, `hfToken`, `password`; not `key_env`, `max_tokens`."""
    return _SECRET_NAME.search(name) is not None


def safe(text: str) -> str:
    """`text` for a terminal: without known keys (`rushes.known_keys`), `hidden`, then `plain`."""
    return plain(hidden(known_keys.hidden(text)))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _is_random(run: str) -> bool:
    """True for letters and digits without the order of words: all three kinds, which change often."""
    kinds = (str.islower, str.isupper, str.isdigit)
    return all(any(map(kind, run)) for kind in kinds) and len(_CHANGE.findall(run)) > len(run) / 5
