"""The report as one HTML file that opens offline, at the end of a run and before, and the scorecard as JSON."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rushes.audit import plot as audit_plot
from rushes.audit import table as audit_table
from rushes.display import words
from rushes.display.curves import meaning
from rushes.plan import gpus, reference
from rushes.report import clips, lenient, plots, previews, view, watch_plot
from rushes.report.claims import claims, has_few_prompts, verdict_word
from rushes.report.data import OWNER, Made, Missing, ReportData, SoFar
from rushes.report.examples import RULE
from rushes.store.files import make_folder, write_atomic

REPORT_FILE: Final = "report.html"
SCORECARD_FILE: Final = "scorecard.json"
ALL_PAIRS: Final = "report/index.html"
"""The page of all pairs, from where the report is."""


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
    return render(
        "report.html.j2",
        "report.js",
        data=data,
        card=data.scorecard,
        made_from=data.made_from,
        owner=OWNER,
        said=claims(data.scorecard, None if isinstance(data.audit, Missing) else data.audit),
        rule=RULE,
        budget=clips.budget(_num_clips(data)),
    )


def render_so_far(data: SoFar) -> str:
    """The page of a run that is not at its end, as text."""
    budget = clips.budget(len(data.clips) + _num_previews(data))
    return render("so_far.html.j2", "report.js", data=data, card=None, made_from=data.made_from, budget=budget)


def render(template: str, script: str, **values: object) -> str:
    """A page with its style sheet and its one script inside.

    Args:
        template: file name of the page.
        script: file name of its script.
        values: what it shows.
    """
    environment = _environment()
    code = _source(environment, script)
    shared = files("rushes.display").joinpath("static/plots.css").read_text("utf-8")
    return environment.get_template(template).render(
        style=Markup(shared + _source(environment, "report.css") + audit_plot.RULES),
        script=Markup(code),
        script_hash=base64.b64encode(hashlib.sha256(code.encode()).digest()).decode(),
        **values,
    )


def _num_clips(data: ReportData) -> int:
    """Clips inside the page."""
    examples = () if isinstance(data.examples, Missing) else data.examples
    return 2 * len(examples) + _num_previews(data)


def _num_previews(data: Made) -> int:
    return sum(map(len, previews.chosen(data.previews).values()))


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
    environment.filters["halves"] = plots.halves_of_real
    environment.filters |= {name: getattr(words, name) for name in _FILTERS} | {"meaning": meaning}
    environment.globals |= {
        "all_pairs": ALL_PAIRS,
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
