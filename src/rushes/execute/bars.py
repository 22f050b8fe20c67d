"""The bars of a run on a terminal: those of the stage that works now, under the lines of the stages before it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rushes.execute.progress import duration_text
from rushes.execute.stop import HEARD, is_stopping, shown_by

if TYPE_CHECKING:
    from rushes.execute.progress import ProgressUpdate

_HINT: Final = "Ctrl-C stops after the current item"
_NARROW: Final = 72
"""Columns below which there is no room for a bar beside its numbers."""
_WIDE: Final = 100
"""Columns from which on a bar may be long."""
_LABEL, _COUNT, _TIME = 26, 7, 8
"""Columns of the first cells at least, so that the lines of all stages stand in line."""


class _Row:
    """One kind of work of a stage, such as its clips: the passes over it are added up."""

    def __init__(self, update: ProgressUpdate) -> None:
        self.update = update
        self.since: float | None = time.monotonic()
        """When the pass began; None when it is over."""
        self.num_earlier = 0
        """Items of the passes before."""
        self._spent_s = 0.0

    def take(self, update: ProgressUpdate) -> None:
        """The next update; after the last one of a pass, another pass begins."""
        if self.since is None:
            if update.num_before < self.update.num_done:
                self.num_earlier += self.update.num_total
            self.since = time.monotonic()
        self.update = update
        if update.is_last:
            self._spent_s, self.since = self.seconds, None

    @property
    def seconds(self) -> float:
        """Spent on all passes."""
        return self._spent_s + (0.0 if self.since is None else time.monotonic() - self.since)

    def cells(self, bar: int) -> Iterable[RenderableType]:
        """What is shown of it, one cell a column, with a bar of so many columns; none with 0."""
        done, total = self.num_earlier + self.update.num_done, self.num_earlier + self.update.num_total
        left = self.update.left_s
        words = (
            f"{self.update.num_failed} failed" if self.update.num_failed else "",
            f"{duration_text(left)} left" if left is not None and self.since is not None else "",
            self.update.note,
        )
        yield Text(self.update.label)
        if bar:
            yield ProgressBar(total=max(1, total), completed=done, width=bar)
        yield Text(f"{done}/{total}")
        yield Text(duration_text(self.seconds))
        yield Text(", ".join(word for word in words if word))


class Bars:
    """Draws below what was printed, until it is closed; what is printed meanwhile goes above."""

    def __init__(self, stream: TextIO) -> None:
        """Begin to draw.

        Args:
            stream: a terminal.
        """
        self._rows: dict[str, _Row] = {}
        self._during = ""
        self._is_over = False
        self._console = Console(file=stream)
        # Its thread draws the answer to Ctrl-C: a signal handler that wrote to the terminal would move the cursor away
        # from where the bars begin.
        self._live = Live(get_renderable=self._drawn, console=self._console, refresh_per_second=8)
        self._live.start()
        shown_by(self)

    def show(self, update: ProgressUpdate) -> None:
        """Draw an update. The bars of the stage before stay above as lines."""
        if update.during != self._during:
            self._keep()
            self._during = update.during
        row = self._rows.get(update.label)
        if row is None:
            row = self._rows[update.label] = _Row(update)
        row.take(update)

    def close(self) -> None:
        """Stop drawing; the bars stay as they are."""
        shown_by(None)
        self._is_over = True
        self._live.stop()

    def _keep(self) -> None:
        if self._rows:
            table, self._rows = self._table(), {}
            self._console.print(table)

    def _drawn(self) -> RenderableType:
        if self._is_over:
            return self._table()
        # The last line is short, and none of the bars: a terminal writes its ^C there, which the next drawing removes.
        return Group(self._table(), Text(HEARD.strip() if is_stopping() else _HINT, style="dim"))

    def _table(self) -> Table:
        width = self._console.width
        bar = 0 if width < _NARROW else 10 if width < _WIDE else 24
        table = Table.grid(padding=(0, 1))
        table.add_column(no_wrap=True, min_width=_LABEL if bar else None)
        if bar:
            table.add_column()
        table.add_column(no_wrap=True, justify="right", min_width=_COUNT if bar else None)
        table.add_column(no_wrap=True, justify="right", min_width=_TIME if bar else None)
        table.add_column(no_wrap=True, overflow="ellipsis")
        for row in list(self._rows.values()):
            table.add_row(*row.cells(bar))
        return table
