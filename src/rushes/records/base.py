"""What every record shares: frozen, strict, NaN refused, one meaning per field; and references to stored files."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Key = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A work key: 64 hex digits from `rushes.store.identity.work_key`, known before the work is done."""

Text = Annotated[str, StringConstraints(min_length=1)]
"""Non-empty text."""

Share = Annotated[float, Field(ge=0.0, le=1.0)]
"""A probability, a score or a share: 0 to 1; for scores, higher is better."""

Count = Annotated[int, Field(ge=0)]
"""How many: 0 or more."""

Size = Annotated[int, Field(ge=1)]
"""A size or a length: 1 or more."""

Seconds = Annotated[float, Field(ge=0.0)]
"""Wall-clock seconds."""


class Record(BaseModel):
    """Base of all records: immutable, no unknown fields, no NaN or infinity, JSON in and out without loss."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True, defer_build=True
    )

    measured_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields that differ between two runs of the same work: wall-clock time, start dates."""

    added_later: ClassVar[frozenset[str]] = frozenset()
    """Fields that earlier releases did not have: as those of a `Spec`, they enter work keys only where they are set."""

    def content(self) -> dict[str, Any]:
        """The fields that a repeated run must reproduce exactly, as JSON values."""
        return self.model_dump(mode="json", exclude=set(self.measured_fields))


class KeyedRecord(Record):
    """Base of the expensive records: appended once under their work key, never rewritten."""

    key: Key
    """Work key of this record."""


class BlobRef(Record):
    """A file in the run's blob store, named by its content.

    Example:
        BlobRef(sha256="5f" * 32, suffix=".safetensors", num_bytes=208_984)
    """

    sha256: Key
    """Hash of the content (64 hex digits); it names the file and verifies its content."""
    suffix: Annotated[str, StringConstraints(pattern=r"^\.[a-z0-9]+$")]
    """File name ending with its dot, lower case: ".safetensors", ".mp4"."""
    num_bytes: Count
    """Length of the file, bytes."""
