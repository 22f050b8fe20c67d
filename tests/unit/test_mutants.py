"""The list of faults stays usable while the source changes."""

from __future__ import annotations

import pytest

from tests.mutants.__main__ import ROOT, Fault, place_of, read_faults

FAULTS = read_faults()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what.replace(" ", "-"))
def test_every_fault_can_be_made_and_has_tests(fault: Fault) -> None:
    assert place_of(fault) is None
    assert fault.old != fault.new
    assert all((ROOT / "tests" / each.partition("::")[0]).exists() for each in fault.tests.split())


def test_a_fault_whose_text_is_gone_is_reported() -> None:
    gone = Fault("nothing", "rushes/pipeline.py", "text that is not there", "", "unit")

    assert "0 times" in (place_of(gone) or "")
