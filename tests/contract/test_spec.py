"""The contract of specs: good ones pass, and each kind of bad one is caught for its own reason."""

from __future__ import annotations

from typing import Any

import pytest

from rushes.roles import Runtime, Spec
from tests.contract.spec import check_spec


class GoodSpec(Spec):
    threshold: float = 0.5

    def build(self, runtime: Runtime) -> object:
        return object()


class IdleSpec(Spec):
    threshold: float = 0.5


class LooseSpec(GoodSpec, extra="ignore"):
    pass


class ThawedSpec(GoodSpec, frozen=False):
    pass


class ForgetfulSpec(GoodSpec):
    def __getstate__(self) -> dict[Any, Any]:
        return {**super().__getstate__(), "__dict__": {"threshold": 0.0}}


def test_good_specs_pass() -> None:
    check_spec(GoodSpec(threshold=0.25))


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (IdleSpec(), "must define build"),
        (LooseSpec(), "must refuse unknown options"),
        (ThawedSpec(), "must be frozen: threshold could be set"),
        (ForgetfulSpec(), "must survive pickling"),
    ],
)
def test_bad_specs_are_caught(spec: Spec, says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        check_spec(spec)
