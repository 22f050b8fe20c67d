"""The report as one HTML file that opens offline, and the scorecard as JSON beside it."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rushes.audit import plot as audit_plot
from rushes.audit import table as audit_table
from rushes.display import words
from rushes.display.curves import meaning
from rushes.plan import gpus, reference
from rushes.report import lenient, plots, previews, view, watch_plot
from rushes.report.claims import claims, has_few_prompts, verdict_word
from rushes.report.data import OWNER, Missing, ReportData
from rushes.report.examples import RULE
from rushes.store.files import make_folder, write_atomic

REPORT_FILE: Final = "report.html"
SCORECARD_FILE: Final = "scorecard.json"


def write_report(data: ReportData, folder: Path) -> Path:
    """Write `report.html` and `scorecard.json`; older ones are replaced.

    Args:
        data: one run.
        folder: where to write; created if it does not exist.

    Returns:
        Path of `report.html`.

    Raises:
        StoreError: disk full, read-only.
    """
    make_folder(folder)
    path = folder / REPORT_FILE
    write_atomic(path, render_report(data).encode())
    write_atomic(folder / SCORECARD_FILE, f"{data.scorecard.model_dump_json(indent=1)}\n".encode())
    return path


def render_report(data: ReportData) -> str:
    """The page as text. All inserted text is escaped, and the page loads nothing from elsewhere."""
    environment = _environment()
    script = _source(environment, "report.js")
    return environment.get_template("report.html.j2").render(
        data=data,
        card=data.scorecard,
        owner=OWNER,
        said=claims(data.scorecard, None if isinstance(data.audit, Missing) else data.audit),
        rule=RULE,
        style=Markup(_source(environment, "report.css") + audit_plot.RULES),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _environment() -> Environment:
    """Autoescape is on for every template, whatever its file name, and an undefined name is an error."""
    environment = Environment(
        loader=PackageLoader("rushes.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["missing"] = lambda value: isinstance(value, Missing)
    environment.filters |= {name: getattr(words, name) for name in _FILTERS} | {"meaning": meaning}
    environment.globals |= {
        "audit_plot": audit_plot,
        "audit_table": audit_table,
        "gpus": gpus,
        "has_few_prompts": has_few_prompts,
        "previews": previews,
        "lenient_judge": lenient.warnings,
        "plots": plots,
        "reference": reference,
        "verdict_word": verdict_word,
        "view": view,
        "watch_plot": watch_plot,
        "words": words,
    }
    return environment


_FILTERS: Final = ("readable", "signed", "score", "percent", "figure", "duration", "typeset")


def _source(environment: Environment, name: str) -> str:
    """A file of the templates folder, unescaped: it is our own text, never the user's."""
    loader = environment.loader
    assert loader is not None
    return loader.get_source(environment, name)[0]
