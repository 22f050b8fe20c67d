"""`python -m lab.tour`: write `docs/tour.md` from the first lines of each part."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "tour.md"
ORDER: Final = (
    ("The sentence", ("rushes/pipeline.py", "rushes/context.py")),
    (
        "The verbs and the nouns",
        (
            *("rushes/roles.py", "rushes/feedback.py", "rushes/records", "rushes/errors.py", "rushes/plain.py"),
            "rushes/known_keys.py",
        ),
    ),
    (
        "The recipe",
        (
            "rushes/recipe",
            "rushes/dimensions",
            "rushes/plugins.py",
            "rushes/extensions.py",
            "rushes/preflight",
            "rushes/findings.py",
            "rushes/recipes",
        ),
    ),
    (
        "The stages, in the order of the sentence",
        (
            *("rushes/prompts", "rushes/diagnose", "rushes/generate", "rushes/judge"),
            *("rushes/weights", "rushes/train", "rushes/watch", "rushes/measure", "rushes/report"),
        ),
    ),
    (
        "What the stages stand on",
        ("rushes/store", "rushes/execute", "rushes/families", "rushes/llm", "rushes/statistics", "rushes/plan"),
    ),
    (
        "Beside the pipeline",
        (
            *("rushes/audit", "rushes/export", "rushes/sample", "rushes/vote", "rushes/view", "rushes/display"),
            *("rushes/doctor", "rushes/testing.py", "rushes/cli"),
        ),
    ),
    ("The two plug-ins", ("rushes_sandbox", "rushes_vbench")),
)
"""Headings, and parts below `src/` in reading order."""
HEAD: Final = """\
# Tour

The parts in reading order, in their own words. The first lines of each of their files say what it contains.
Three files are enough to understand the system: the sentence `src/rushes/pipeline.py`, the verbs `src/rushes/roles.py`
and the nouns in `src/rushes/records/`. Who may import whom is a table in `tests/unit/test_imports.py`.
"""
TAIL: Final = """\
## Beside the packages

- `lab/`: how the sandbox's models were trained, and `make results`. It is not shipped.
- `tests/`: `unit/` mirrors the source, `contract/` holds the rules for every plug-in of a role, `pipeline/` tests the
  assembly and kills runs, `mutants/` lists faults that the tests must detect, `docs/` runs the README.
- `docs/paper_map.md` maps the paper to the code; `docs/design/` gives the reasons.
"""


def words_of(part: str) -> str:
    """The words of a part: its whole docstring for a folder, the first paragraph for a file."""
    path = ROOT / "src" / part
    file = path / "__init__.py" if path.is_dir() else path
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return docstring if path.is_dir() else docstring.split("\n\n")[0]


def page() -> str:
    """The page as text."""
    lines = [HEAD]
    for heading, parts in ORDER:
        lines.append(f"## {heading}\n")
        lines += [f"**`src/{part}`**\n{words_of(part)}\n" for part in parts]
    return "\n".join([*lines, TAIL])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")
