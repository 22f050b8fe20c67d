"""The report's section on the judge's audit: shown where there is one, said plainly where there is none."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from synthetic_run import make_data

from rushes.audit.records import Audit
from rushes.audit.run import Settings, Witness, audit_judge
from rushes.audit.sources import Source
from rushes.report.data import Missing
from rushes.report.html import render_report
from tests.support.audited import ToyJudge, blind_to_time, make_cases

EVIL = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    settings = Settings(num_resamples=50)
    judge = Witness("toy", "toy", ToyJudge(blind_to_time))
    return audit_judge(judge, Source("toy clips", make_cases(12), False), tmp_path_factory.mktemp("audit"), settings)


def section(page: str) -> str:
    start = page.index('<section id="audit"')
    return page[start : page.index("</section>", start)]


@cache
def without() -> str:
    return section(render_report(make_data()))


def test_no_audit_is_said_plainly() -> None:
    assert "rushes judge audit HOME" in without() and "<svg" not in without()
    assert "why not" in section(render_report(make_data(audit=Missing("why not"))))


def test_an_audit_is_shown_with_its_picture_and_its_reasons(audit: Audit) -> None:
    shown = section(render_report(make_data(audit=audit)))
    # On a model's clips, a low AUC may be the clips' fault.
    assert "The audit does not show that it can be trusted in Dynamic Attribute." in shown
    assert "or the clips themselves miss their prompts" in shown and "These clips are a model" in shown
    assert shown.count('class="audit-plot"') == 1 and shown.count('class="mark fails"') == 3 + 1
    bad = audit.model_copy(update={"dimensions": (audit.dimensions[0].model_copy(update={"verdict": "do not trust"}),)})
    assert "Do not trust toy in Dynamic Attribute." in section(render_report(make_data(audit=bad)))


def test_texts_of_an_audit_are_never_markup(audit: Audit) -> None:
    dimension = audit.dimensions[0].model_copy(update={"dimension": EVIL, "reasons": (EVIL,)})
    evil = audit.model_copy(update={"judge": EVIL, "source": EVIL, "dimensions": (dimension,), "notes": (EVIL,)})
    shown = section(render_report(make_data(audit=evil)))
    assert "<script" not in shown and "<img" not in shown and shown.count("&lt;script&gt;") >= 5
