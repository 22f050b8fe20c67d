"""What raters said: one file for each in the run folder; what others send is read as data that may be hostile."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from rushes.errors import FileCorrupt, InputError
from rushes.store.files import explained, make_folder
from rushes.store.sums import read_summed, write_summed
from rushes.vote.folder import folder_of
from rushes.vote.records import Replies, Reply, Study

MAX_BYTES: Final = 8 * 2**20
"""Largest file of replies, bytes."""
_FOLDER: Final = "replies"


def all_replies(home: Path, study: Study) -> list[Replies]:
    """Those of every rater, by name.

    Raises:
        FileCorrupt: a file is not what was written.
    """
    paths = sorted((folder_of(home, study.study) / _FOLDER).glob("*.json"))
    return sorted((_kept(home, path) for path in paths), key=lambda each: each.rater)


def replies_of(home: Path, study: Study, rater: str) -> Replies:
    """What one rater has said so far; without replies if nothing yet.

    Raises:
        InputError: the name cannot be one.
        FileCorrupt: the file is not what was written.
    """
    path = _path(home, study, rater)
    return _kept(home, path) if path.is_file() else checked(study, rater, ())


def checked(study: Study, rater: str, replies: Sequence[Reply]) -> Replies:
    """Replies that fit the study.

    Raises:
        InputError: a name that cannot be one, a pair or question that is not asked, or two replies to one.
    """
    try:
        found = Replies(study=study.study, rater=rater, replies=tuple(replies))
    except ValidationError as error:
        raise _unfit(error) from error
    return _fits(study, found)


def keep(home: Path, study: Study, replies: Replies) -> None:
    """Store what a rater has said so far, in place of what was there.

    Raises:
        StoreError: disk full, read-only.
    """
    path = _path(home, study, replies.rater)
    make_folder(path.parent)
    write_summed(path, f"{replies.model_dump_json(indent=1)}\n".encode())


def read_replies(path: Path, study: Study) -> Replies:
    """A file that a rater sent. Nothing in it is trusted: size, shape, names and values are checked.

    Raises:
        InputError: it cannot be used.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"cannot read the votes in {path}", got=error.strerror, next_step="name a file that the page has saved"
        ) from error
    if len(data) > MAX_BYTES:
        raise InputError(
            f"{path} is too large for votes",
            expected=f"at most {MAX_BYTES} bytes",
            got="more",
            next_step="name a file that the page has saved",
        )
    return parsed(data, study, str(path))


def parsed(data: bytes, study: Study, source: str) -> Replies:
    """The replies in a file's bytes, see `read_replies`."""
    try:
        found = Replies.model_validate_json(data)
    except (ValidationError, ValueError, RecursionError) as error:
        raise _unfit(error, source) from error
    if found.study != study.study:
        raise InputError(
            f"the votes in {source} are for another study",
            expected=study.study,
            got=found.study,
            next_step="name the study with --study, or another run folder",
        )
    return _fits(study, found, source)


def add(home: Path, study: Study, replies: Replies, *, replace: bool = False) -> int:
    """Take over the replies of a file; returns how many are new.

    Args:
        home: the run folder.
        study: that they are for.
        replies: checked.
        replace: True forgets what this rater said before.

    Raises:
        InputError: the rater has said something else before.
        StoreError: disk full, read-only.
    """
    before = {(each.pair, each.question): each.choice for each in replies_of(home, study, replies.rater).replies}
    now = {(each.pair, each.question): each.choice for each in replies.replies}
    lost = [key for key, choice in before.items() if now.get(key) != choice]
    if lost and not replace:
        raise InputError(
            f"{replies.rater!r} has voted here before, and {len(lost)} of those votes are not in this file",
            expected="a later file of the same person, which has all of the earlier votes; or another name",
            got=f"{lost[0][0]}, {lost[0][1]}: {before[lost[0]]} before, {now.get(lost[0], 'nothing')} now",
            next_step="if it is the same person and the new file counts: --replace",
        )
    keep(home, study, replies)
    return len(now.keys() - before.keys())


def _path(home: Path, study: Study, rater: str) -> Path:
    """A file name from a hash: a name of a person is data, and never a path."""
    return folder_of(home, study.study) / _FOLDER / f"{hashlib.sha256(rater.encode()).hexdigest()[:16]}.json"


def _kept(home: Path, path: Path) -> Replies:
    with explained(path):
        data = read_summed(path, home)
    try:
        return Replies.model_validate_json(data)
    except ValidationError as error:
        raise FileCorrupt(home, path, f"damaged, or of another version ({error.errors()[0]['msg']})") from error


def _fits(study: Study, replies: Replies, source: str = "these votes") -> Replies:
    asked = {(pair.name, question) for pair in study.pairs for question in pair.questions}
    given: set[tuple[str, str]] = set()
    for number, each in enumerate(replies.replies, 1):
        key = each.pair, each.question
        if key not in asked or key in given:
            raise InputError(
                f"vote {number} in {source} {'repeats an earlier one' if key in given else 'is about nothing asked'}",
                expected="one vote for each pair and question of the study",
                got=f"{each.pair}, {each.question[:80]}",
                next_step="save the file again with the page of this study",
            )
        given.add(key)
    return replies


def _unfit(error: Exception, source: str = "these votes") -> InputError:
    first = error.errors()[0] if isinstance(error, ValidationError) else None
    where = ".".join(map(str, first["loc"]))[:80] if first else ""
    return InputError(
        f"{source} cannot be used",
        expected="the JSON file that the page saves",
        got=f"{where}: {first['msg'][:200]}" if first else "something else",
        next_step="save the file again with the page of this study",
    )
