"""Specs are values that travel; failures are values too."""

from __future__ import annotations

import pickle
from typing import ClassVar

import pytest
from pydantic import ValidationError

from rushes.roles import Failed, Spec
from rushes.train.batch import LossTerms


class DimSpec(Spec):
    spec_name: ClassVar[str] = "tests.dim"
    threshold: float = 0.5


def test_spec_is_frozen_strict_and_picklable() -> None:
    spec = DimSpec(threshold=0.25)
    assert pickle.loads(pickle.dumps(spec)) == spec
    with pytest.raises(ValidationError):
        DimSpec.model_validate({"treshold": 1})
    with pytest.raises(ValidationError):
        DimSpec(threshold=float("nan"))


def test_failed_keeps_type_message_and_trace() -> None:
    try:
        raise ValueError("no such clip")
    except ValueError as error:
        failed = Failed.of(error)
    assert (failed.error_type, failed.message) == ("ValueError", "no such clip")
    assert "test_roles.py" in failed.trace


def test_loss_terms_add_up_with_their_coefficients() -> None:
    terms = LossTerms(terms={"flow": 2.0, "real": 3.0}, coefficients={"flow": 1.0, "real": 0.5})  # type: ignore[dict-item]
    assert terms.total() == 3.5
