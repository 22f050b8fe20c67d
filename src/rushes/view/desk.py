"""What the server makes from runs and keeps while it works: indexes of clips, videos and stills. Gone when it ends."""

from __future__ import annotations

import shutil
import threading
import weakref
from pathlib import Path
from tempfile import mkdtemp

from rushes.view.index import Index
from rushes.view.media import Media
from rushes.view.shelf import name_of


class Desk:
    """A temporary folder and what is in it. The folder is made when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._media: Media | None = None
        self._indexes: dict[Path, Index] = {}

    def index(self, home: Path) -> Index:
        """The index of a run; empty at first, see `Index.catch_up`."""
        with self._lock:
            if home not in self._indexes:
                self._indexes[home] = Index(home, self._place() / f"{name_of(home)}.sqlite")
            return self._indexes[home]

    @property
    def media(self) -> Media:
        """Videos and stills of all runs."""
        with self._lock:
            if self._media is None:
                self._media = Media(self._place())
            return self._media

    def _place(self) -> Path:
        if self._folder is None:
            self._folder = Path(mkdtemp(prefix="rushes-view-"))
            self._delete = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder

    def close(self) -> None:
        """Delete everything."""
        with self._lock:
            for index in self._indexes.values():
                index.close()
            self._indexes.clear()
            self._media = None
            if self._folder is not None:
                self._delete()
                self._folder = None
