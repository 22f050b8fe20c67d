"""Files of derived records: a JSON list with one record in each line, so that a million of them fit through memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from rushes.errors import FileCorrupt
from rushes.records import Record
from rushes.store.files import explained
from rushes.store.sums import check_summed

D = TypeVar("D", bound=Record)


def lines(records: Iterable[Record]) -> Iterator[bytes]:
    """The text of a file, in pieces."""
    start = b"["
    for record in records:
        yield start + b"\n" + record.model_dump_json().encode()
        start = b","
    yield b"\n]\n" if start == b"," else b"[]\n"


def records_in(path: Path, home: Path, record_type: type[D]) -> Iterator[D]:
    """The records of a file that exists, one after the other. The whole file is compared with its sum first.

    Raises:
        FileCorrupt: it is not what was written, or of another version.
    """
    check_summed(path, home)
    try:
        with explained(path), path.open("rb") as file:
            if not file.read(3).startswith((b"[\n{", b"[]")):  # of an older version, which spread a record over lines
                file.seek(0)
                yield from TypeAdapter(list[record_type]).validate_json(file.read())  # type: ignore[valid-type]
                return
            file.seek(0)
            for line in file:
                if line not in (b"[\n", b"]\n", b"[]\n"):
                    yield record_type.model_validate_json(line.removesuffix(b"\n").removesuffix(b","))
    except ValidationError as error:
        raise FileCorrupt(home, path, f"damaged, or of another version ({error.errors()[0]['msg']})") from error
