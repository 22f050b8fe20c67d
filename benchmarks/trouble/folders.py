"""Odd folders of a user's clips: every file ends up in the table with its reason, and good clips are used.

Each folder has two good clips and a few oddities: in the files, in the names, in the rows, or in the whole table.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.trouble.lives import live
from benchmarks.trouble.tally import Fault, Outcome
from rushes.cli.show import show_user_error
from rushes.errors import UserError
from rushes.prompts.captions import read_clip_folder
from rushes.recipe.base import ShapeSpec
from rushes.store.video import write_video

_SHAPE: Final = ShapeSpec(height_px=32, width_px=32, num_frames=5, fps=8)
_VIDEOS: Final = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".gif")
_TABLE: Final = "table.json"
_UNPLAIN: Final = re.compile(r"\\x..|\\u....|[^a-z0-9]")


@dataclass
class _Folder:
    """A folder that is being made."""

    home: Path
    clip: bytes
    """A good video file."""
    rng: random.Random
    rows: list[bytes] = field(default_factory=list[bytes])
    """Lines of metadata.jsonl."""
    good: list[str] = field(default_factory=list[str])
    """Files that must be used."""
    what: list[str] = field(default_factory=list[str])
    is_table_broken: bool = False
    """No row can be read, so that the folder as a whole may be refused."""

    def put(self, name: str, data: bytes) -> None:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def row(self, name: object, text: object = "a red circle moves to the left", **others: object) -> None:
        self.rows.append(json.dumps({"file_name": name, "text": text, **others}).encode("utf-8", "surrogatepass"))


def folders(seed: int, count: int, scratch: Path) -> Iterator[Outcome]:
    """Read `count` odd folders."""
    scratch.mkdir(parents=True, exist_ok=True)
    clips = [_good_clip(scratch / "clip.mp4", shade) for shade in range(4)]
    rng = random.Random(f"{seed}-folders")
    for number in range(count):
        made = _Folder(scratch / "clips", rng.choice(clips), rng)
        made.home.mkdir()
        _fill(made, clips)
        life = live(partial(_read, made.home, scratch / _TABLE), scratch / "log.txt", limit_s=30.0)
        case = f"folders {seed}: number {number}, {'; '.join(made.what)}"
        if life.bug:
            yield Outcome(case, (Fault("traceback", life.bug),))
        else:
            yield Outcome(case, tuple(_verdict(made, life.exit_code == 0, life.said, scratch / _TABLE)))
        shutil.rmtree(made.home)
        (scratch / _TABLE).unlink(missing_ok=True)


def _good_clip(path: Path, shade: int) -> bytes:
    rng = np.random.default_rng(shade)
    write_video(path, rng.integers(0, 255, (8, 40, 48, 3), np.uint8), 8.0)
    return path.read_bytes()


def _read(home: Path, table: Path) -> int:
    """What a run does with the folder; the table is left in a file."""
    try:
        found = read_clip_folder(home, _SHAPE).require_some(str(home))
    except UserError as error:
        show_user_error(error)
        return 2
    rows = [[row.name, row.outcome, row.reason, row.detail] for row in found.rows]
    table.write_text(json.dumps(rows))
    return 0


def _verdict(made: _Folder, was_read: bool, said: str, table: Path) -> list[Fault]:
    faults = [Fault("leak", f"a terminal escape is printed: {said[:200]!r}")] if "\x1b" in said else []
    if not was_read:
        if not made.is_table_broken:
            faults.append(Fault("lost", f"two good clips are refused with the folder: {said[:300]}"))
        elif "next:" not in said:
            faults.append(Fault("lost", f"the error does not say what to do: {said[:300]}"))
        return faults
    if made.is_table_broken:
        return faults
    rows = json.loads(table.read_text())
    listed = {name for name, *_ in rows}
    used = {name for name, outcome, *_ in rows if outcome in ("used", "cut")}
    faults += [
        Fault("lost", f"a good clip is not used: {name!r}: {rows}"[:400]) for name in made.good if name not in used
    ]
    missing = [name for name in _videos(made.home) if not any(_same(name, each) for each in listed)]
    faults += [Fault("lost", f"not in the table: {name!r}, which has {sorted(listed)}"[:400]) for name in missing]
    faults += [Fault("lost", f"no reason: {row}") for row in rows if not row[2] or not row[3]]
    if used - {row_name for row_name in used if (made.home / row_name).is_file()}:
        faults.append(Fault("made up", f"used, but no file: {used}"))
    return faults


def _videos(home: Path) -> list[str]:
    """Every entry of the folder that looks like a video and is not hidden, relative to it."""
    found = []
    for folder, inner, files in os.walk(home):
        inner[:] = [name for name in inner if not name.startswith(".")]
        found += [os.path.relpath(os.path.join(folder, name), home) for name in files if not name.startswith(".")]
    return [name for name in found if name.lower().endswith(_VIDEOS)]


def _same(name: str, listed: str) -> bool:
    """Whether a name in the table stands for a file; characters that cannot be printed may be written otherwise."""
    return name == listed or _letters(name) == _letters(listed)


def _letters(text: str) -> str:
    return _UNPLAIN.sub("", text.lower())


def _fill(made: _Folder, clips: list[bytes]) -> None:
    for number, clip in enumerate(made.rng.sample(clips, 2)):
        name = f"good-{number}.mp4"
        made.put(name, clip)
        made.row(name, f"a {'red green'.split()[number]} circle moves to the left")
        made.good.append(name)
    for odd in made.rng.sample(_ODDITIES, made.rng.randint(1, 4)):
        made.what.append(odd.__name__.strip("_"))
        odd(made)
    made.rng.shuffle(made.rows)
    whole = made.rng.choice(_WHOLE) if made.rng.random() < 0.3 else _plain
    made.what.append(whole.__name__.strip("_"))
    whole(made)


# ---------------------------------------------------------------------------------------------- odd files


def _svg(made: _Folder) -> None:
    made.put("drawing.mp4", b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>')
    made.row("drawing.mp4")


def _cut_off(made: _Folder) -> None:
    made.put("half.mp4", made.clip[: made.rng.randrange(len(made.clip))])
    made.row("half.mp4")


def _noise(made: _Folder) -> None:
    made.put("noise.webm", made.rng.randbytes(made.rng.choice((0, 1, 500, 5000))))
    made.row("noise.webm")


def _spoiled_bytes(made: _Folder) -> None:
    data = bytearray(made.clip)
    for _ in range(made.rng.choice((1, 10, 200))):
        data[made.rng.randrange(len(data))] = made.rng.randrange(256)
    made.put("spoiled.mp4", bytes(data))
    made.row("spoiled.mp4")


def _playlist(made: _Folder) -> None:
    made.put("list.avi", b"ffconcat version 1.0\nfile /etc/passwd\n")
    made.row("list.avi")


def _no_row(made: _Folder) -> None:
    made.put(made.rng.choice(("alone.mp4", "deep/er/alone.mov", "ALONE.MP4")), made.clip)


def _looping_link(made: _Folder) -> None:
    (made.home / "loop.mp4").symlink_to("loop.mp4")
    made.row("loop.mp4")


def _link_outside(made: _Folder) -> None:
    (made.home / "passwd.mp4").symlink_to("/etc/passwd")
    made.row("passwd.mp4")


def _dead_link(made: _Folder) -> None:
    (made.home / "gone.mp4").symlink_to("nowhere.mp4")
    made.row(made.rng.choice(("gone.mp4", "other.mp4")))


def _folder_loop(made: _Folder) -> None:
    (made.home / "inner").mkdir(exist_ok=True)
    (made.home / "inner" / "again").symlink_to("..")


def _folder_as_video(made: _Folder) -> None:
    (made.home / "folder.mp4").mkdir()
    made.row("folder.mp4")


def _pipe(made: _Folder) -> None:
    os.mkfifo(made.home / "pipe.mp4")
    if made.rng.random() < 0.7:
        made.row("pipe.mp4")


def _companion(made: _Folder) -> None:
    made.put("._good-0.mp4", b"\x00\x05\x16\x07" + bytes(100))
    made.put(".hidden.mp4", made.clip)


def _odd_name(made: _Folder) -> None:
    name = made.rng.choice(
        ("new\nline.mp4", "\x1b[31mred.mp4", "a b 'c' \"d\".mp4", "\u202egpm.mp4", "-rf.mp4", "%s%n.mp4")
    )
    made.put(name, made.clip)
    if made.rng.random() < 0.7:
        made.row(name)


def _bytes_name(made: _Folder) -> None:
    with open(os.fsencode(made.home) + b"/strange-\xff\xfe.mp4", "wb") as file:
        file.write(made.clip)


# ---------------------------------------------------------------------------------------------- odd rows


def _long_name(made: _Folder) -> None:
    made.row("x" * made.rng.choice((256, 300, 5000)) + ".mp4")


def _name_elsewhere(made: _Folder) -> None:
    made.row(
        made.rng.choice(
            ("../secret.mp4", "/etc/passwd", "~/x.mp4", "a\0b.mp4", "", ".", "con\ud800.mp4", "https://x/y.mp4")
        )
    )


def _name_of_another_type(made: _Folder) -> None:
    made.row(made.rng.choice((None, 7, True, [], {}, ["a.mp4"], 1e308)))


def _odd_caption(made: _Folder) -> None:
    made.put("captioned.mp4", made.clip)
    odd = (None, "", "  ", 5, [], {}, "x" * 10**6, "\x1b[2J", "\ud800", "\0", "<script>alert(1)</script>", True)
    made.row("captioned.mp4", made.rng.choice(odd))


def _odd_extras(made: _Folder) -> None:
    made.put("extra.mp4", made.clip)
    odd = (None, 5, "", [], [1], [{"text": 1}], {"a": 1}, "yes?", [{"text": "x", "expected": "perhaps"}], [[[[]]]])
    made.row("extra.mp4", "a blue square", **{made.rng.choice(("questions", "dimension")): made.rng.choice(odd)})


def _no_json(made: _Folder) -> None:
    lines = (b"{", b"[1]", b"null", b"\xff\xfe", b"[" * 50_000, b'{"file_name": NaN}', b'{"a":' * 3000, b"9" * 5000)
    made.rows.append(made.rng.choice(lines))


_ODDITIES: Final[tuple[Callable[[_Folder], None], ...]] = (
    *(_svg, _cut_off, _noise, _spoiled_bytes, _playlist, _no_row, _looping_link, _link_outside, _dead_link),
    *(_folder_loop, _folder_as_video, _pipe, _companion, _odd_name, _bytes_name, _long_name, _name_elsewhere),
    *(_name_of_another_type, _odd_caption, _odd_extras, _no_json),
)

# ---------------------------------------------------------------------------------------------- the table as a whole


def _plain(made: _Folder) -> None:
    made.put("metadata.jsonl", b"\n".join(made.rows))


def _windows(made: _Folder) -> None:
    made.put("metadata.jsonl", b"\xef\xbb\xbf" + b"\r\n".join(made.rows) + b"\r\n\r\n")


def _utf16(made: _Folder) -> None:
    made.is_table_broken = True
    made.put("metadata.jsonl", b"\n".join(made.rows).decode("utf-8", "replace").encode("utf-16"))


def _no_table(made: _Folder) -> None:
    made.is_table_broken = True


def _table_is_a_folder(made: _Folder) -> None:
    made.is_table_broken = True
    (made.home / "metadata.jsonl").mkdir()


def _table_is_empty(made: _Folder) -> None:
    made.is_table_broken = True
    made.put("metadata.jsonl", made.rng.choice((b"", b"\n\n", b"\0" * 100)))


def _as_csv(made: _Folder) -> None:
    mark, head = made.rng.choice(((",", "file_name,text"), (",", "File_Name,Caption"), (";", "file_name;text")))
    made.is_table_broken = (mark, head) != (",", "file_name,text")
    lines = [f"{name}{mark}a circle number {number}" for number, name in enumerate(made.good)]
    lines += made.rng.choice((["a,b,c,d,e"], ['"open'], ["x\0y,z"], []))
    made.put("metadata.csv", "\n".join([head, *lines]).encode())


_WHOLE: Final = (_windows, _utf16, _no_table, _table_is_a_folder, _table_is_empty, _as_csv)
