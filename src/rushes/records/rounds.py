"""Records about a run folder itself: a finished round, whose clips need not be read again, and a cleaned-away file."""

from __future__ import annotations

from typing import ClassVar

from rushes.records.base import Count, Key, KeyedRecord


class FinishedRound(KeyedRecord):
    """A round that ended without a failure: what came of it, and how many records there were then.

    Example:
        FinishedRound(key="9c" * 32, checkpoint="5a" * 32, num_records=4_000)
    """

    measured_fields: ClassVar[frozenset[str]] = frozenset({"num_records"})

    checkpoint: Key
    """Its tuned weights."""
    num_records: Count
    """Records of all tables that were stored before this one: with fewer, something of the round may be lost."""


class PreparedRound(KeyedRecord):
    """A round whose clips are made, judged and weighed without a failure, so that only training is left of it.

    Example:
        PreparedRound(key="7d" * 32, samples="5f" * 32, num_records=3_990)
    """

    measured_fields: ClassVar[frozenset[str]] = frozenset({"num_records"})

    samples: Key
    """Hash of the file with its samples."""
    num_records: Count
    """Records of all tables that were stored before this one: with fewer, something of the round may be lost."""


class Removed(KeyedRecord):
    """A stored file that was cleaned away on purpose (`rushes clean`): its hash is the key, and it may be missing.

    Example:
        Removed(key="5f" * 32)
    """
