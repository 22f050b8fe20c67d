"""The mean of what a stage has made so far, to be shown beside its progress."""

from __future__ import annotations

from collections.abc import Sequence

from rushes.records import Answer, KeyedRecord, Measurement, Scored


class Mean:
    """A running mean over answers and measurements; other records, and those without a value, are left out."""

    def __init__(self) -> None:
        """Begin with none."""
        self._sum, self._num, self._of = 0.0, 0, ""

    def take(self, records: Sequence[KeyedRecord]) -> None:
        """Add records of one kind."""
        for record in records:
            if isinstance(record, Answer) and record.p_expected is not None:
                self._add(record.p_expected, "mean P(expected)")
            elif isinstance(record, Measurement) and isinstance(record.outcome, Scored):
                self._add(record.outcome.value, "mean")

    def _add(self, value: float, of: str) -> None:
        self._sum, self._num, self._of = self._sum + value, self._num + 1, of

    @property
    def words(self) -> str:
        """ "mean P(expected) 0.81" for answers, "mean 0.43" for measurements; empty without any."""
        return f"{self._of} {self._sum / self._num:.2f}" if self._num else ""
