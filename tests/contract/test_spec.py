"""The contract of specs: good ones pass, and each kind of bad one is caught for its own reason."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from rushes.roles import Runtime, Spec
from tests.contract.spec import check_spec


class GoodSpec(Spec):
    spec_name: ClassVar[str] = "tests.good"

    threshold: float = 0.5

    def build(self, runtime: Runtime) -> object:
        return object()


class IdleSpec(Spec):
    spec_name: ClassVar[str] = "tests.idle"

    threshold: float = 0.5


class NamelessSpec(GoodSpec):
    pass


class LooseSpec(GoodSpec, extra="ignore"):
    spec_name: ClassVar[str] = "tests.loose"


class ThawedSpec(GoodSpec, frozen=False):
    spec_name: ClassVar[str] = "tests.thawed"


class ForgetfulSpec(GoodSpec):
    spec_name: ClassVar[str] = "tests.forgetful"

    def __getstate__(self) -> dict[Any, Any]:
        return {**super().__getstate__(), "__dict__": {"threshold": 0.0}}


def test_good_specs_pass() -> None:
    check_spec(GoodSpec(threshold=0.25))


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (IdleSpec(), "must define build"),
        (NamelessSpec(), "must have a spec_name of its own"),
        (LooseSpec(), "must refuse unknown options"),
        (ThawedSpec(), "must be frozen: threshold could be set"),
        (ForgetfulSpec(), "must survive pickling"),
    ],
)
def test_bad_specs_are_caught(spec: Spec, says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        check_spec(spec)
