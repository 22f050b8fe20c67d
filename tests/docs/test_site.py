"""The site: every page is in its navigation, links lead to headings that exist, nothing comes from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from rushes.recipe.load import packaged_recipes

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


def site() -> dict[str, object]:
    loaded: dict[str, object] = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    return loaded


def named(nav: object) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict):
        for value in nav.values():
            yield from named(value)
    elif isinstance(nav, list):
        for value in nav:
            yield from named(value)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the site makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles}


def test_every_page_is_in_the_navigation_once() -> None:
    names = list(named(site()["nav"]))
    assert sorted(names) == sorted(str(page.relative_to(DOCS)) for page in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_headings_lead_to_headings(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+#[^)\s]+|#[^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        place = (page.parent / name).resolve() if name else page
        if place.suffix == ".md":
            assert anchor in anchors(place), f"{page.name} links to {target}"


def test_the_site_loads_nothing_from_elsewhere() -> None:
    theme = site()["theme"]
    assert isinstance(theme, dict)
    assert theme["font"] is False
    assert "extra_javascript" not in site() and "extra_css" not in site()


def test_the_page_of_recipes_has_every_packaged_one() -> None:
    text = (DOCS / "recipes.md").read_text(encoding="utf-8")
    table = text[text.index("## Which are packaged") : text.index("`rushes recipes` prints")]
    assert set(re.findall(r"`([\w.-]+)`", table)) == set(packaged_recipes())


def test_a_citation_names_who_is_to_be_cited() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(cited), "what the format asks for"
    (paper,) = cited["references"]
    assert all({"given-names", "family-names"} == set(each) for each in paper["authors"]) and paper["year"] == 2025


def test_what_a_hook_runs_is_a_part_of_make_check() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    check = makefile[makefile.index("\ncheck:") : makefile.index("\nmutants:")].replace("$(PY)", ".venv/bin/python")
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    for hook in hooks:
        assert hook["entry"] in check, hook["id"]
    assert len(hooks) == check.count(".venv/bin/python")


def test_a_link_that_leads_nowhere_fails_the_build_of_the_site() -> None:
    validation = site()["validation"]
    assert isinstance(validation, dict)
    assert set(validation["links"].values()) == {"warn"} and "not_found" in validation["links"]
    assert "mkdocs build --quiet --strict" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "\nmake docs\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_workflow_runs_what_ci_runs() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert {"run": ".ci/run"} in steps
