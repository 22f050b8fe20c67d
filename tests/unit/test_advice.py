"""What errors tell people to do next can be done: every command, option, setting, extra and page in it exists.

The table `advice.yaml` lists each text with how it is covered: `plain: why` (nothing in it that a machine could do),
`checked: why` (here alone, since no test can do it offline and quickly), or the name of a test that meets the error,
does what it says, and sees the error gone.
`python -m tests.support.advice` prints what the table lacks; the author of a new text decides which it is.
"""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

from rushes.errors import RecipeError
from rushes.recipe.load import parse_recipe
from rushes.recipe.recipe import Recipe
from rushes.recipe.schema import find
from rushes.recipe.template import recipe_yaml
from tests.support.advice import (
    ROOT,
    all_options,
    as_lines,
    claims_of,
    command_problem,
    foreign_problem,
    gaps,
    read_table,
)
from tests.support.advice_in_source import Advice, Unreadable, all_advice, read_source
from tests.support.sandbox_recipe import sandbox_recipe

SECTIONS = frozenset(Recipe.model_fields)
FOLLOWED = sorted((ROOT / "tests" / "pipeline").glob("test_advice_*.py"))


def name(advice: Advice) -> str:
    return f"{advice.file}-{advice.text[:40]}".replace(" ", "_")


def problems(text: str) -> list[str]:
    """Everything in a text that does not exist."""
    claims = claims_of(text, SECTIONS)
    found = [command_problem(words, whole=is_typed) for words, is_typed in claims.commands]
    found += [f"no command has {option}" for option in claims.options - all_options()]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    found += [f"there is no extra {extra}" for extra in claims.extras - extras.keys()]
    found += [f"there is no page {page}" for page in claims.pages if not (ROOT / page).is_file()]
    found += [foreign_problem(words) for words in claims.foreign]
    for setting, value in claims.settings:
        found.append(setting_problem(setting, value))
    return [each for each in found if each is not None]


def setting_problem(setting: str, value: str | None) -> str | None:
    """What is wrong with a setting that a text names, or with the value that it gives it."""
    if find(Recipe, setting.split("."))[1] is None:
        return f"there is no setting {setting}"
    if value is None or value.startswith("http"):
        return None
    try:
        parse_recipe(recipe_yaml(sandbox_recipe(name="x")), source="recipe", overrides=[f"{setting}={value}"])
    except RecipeError as error:
        wrong = f"{setting} cannot be" in error.problem or "unknown setting" in error.problem
        return f"{setting} cannot be {value}: {error.problem}" if wrong else None
    return None


def test_the_source_is_read() -> None:
    assert len(all_advice()) > 200
    texts = {advice.text for advice in all_advice()}
    assert "name another file, or overwrite it with --force" in texts, "a plain text"
    assert any("'rushes[servers]'" in text for text in texts), "a constant"
    assert any(text.startswith("write one with: rushes init {path}") for text in texts), "a function's result"
    assert any("--set weights.kind=rank" in text for text in texts), "an entry of a dictionary"


def test_a_text_that_cannot_be_read_is_not_overlooked(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def f(words):\n    raise UserError('x', next_step=words[0].strip())\n")
    with pytest.raises(Unreadable, match=r"a\.py, line 2"):
        read_source(tmp_path)
    (tmp_path / "a.py").write_text(
        "from b import HOW\n"
        "def f(step, home):\n    raise UserError('x', next_step=step)\n"
        "def g(home):\n    f(f'{HOW} {home}' if home else HOW, home)\n"
        "def h(home):\n    f(command('run', f'{home}/recipe.yaml'), home)\n"
    )
    (tmp_path / "b.py").write_text("HOW = 'see this'\n")
    (tmp_path / "c.py").write_text("HOW = 'another'\ndef f(step): ...\nf(1)\n")
    assert [each.text for each in read_source(tmp_path)] == [
        "see this {home}",
        "see this",
        "rushes run {home}/recipe.yaml",
    ]


def test_the_table_lists_every_text_once() -> None:
    lacking, gone = gaps()
    assert not lacking, f"say in tests/unit/advice.yaml how each is covered:\n{as_lines(lacking, 'checked: why')}"
    assert not gone, f"remove from tests/unit/advice.yaml:\n{as_lines(gone, 'gone')}"


@pytest.mark.parametrize("advice", all_advice(), ids=name)
def test_everything_named_exists(advice: Advice) -> None:
    assert problems(advice.text) == []


def test_each_text_is_covered_as_the_table_says() -> None:
    bodies = [ast.parse(path.read_text()).body for path in FOLLOWED]
    tests = {node.name for body in bodies for node in body if isinstance(node, ast.FunctionDef)}
    for advice, how in read_table().items():
        has_claims = bool(claims_of(advice.text, SECTIONS))
        if how.partition(":")[0] == "plain":
            assert not has_claims, f"{advice} names something that can be checked"
            assert len(how.partition(": ")[2].split()) > 3, f"{advice}: say why nothing can be done by a test"
        elif how.partition(":")[0] == "checked":
            assert has_claims, f"{advice} names nothing that can be checked"
            assert len(how.partition(": ")[2].split()) > 3, f"{advice}: say why no test does it"
        else:
            assert how in tests, f"{advice}: there is no test {how}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("see: rushes stats runs/x", "no command"),
        ("see: rushes report", "rushes report"),
        ("run rushes status runs/x --loud", "no option"),
        ("name it with --colour", "no command has"),
        ("set train.stepps to 5", "no setting"),
        ("set runtime.servers.{server}.kei to null", "no setting"),
        ("set train.optimizer: adamx", "cannot be"),
        ("pip install 'rushes[fast]'", "no extra"),
        ("see docs/nothing.md", "no page"),
        ("pip install -c nothing.txt ray", "no file"),
        ("pip install ray==", "pip"),
        ("git clone it's", "quot"),
        ("python -m lab.judge.trane --folder FOLDER", "no module"),
    ],
)
def test_what_does_not_exist_is_noticed(text: str, problem: str) -> None:
    assert problem in "; ".join(problems(text))


@pytest.mark.parametrize(
    "text",
    [
        "rushes run RECIPE --allow-change",
        "start it: ray start --head; then run again",
        "set runtime.servers.{server}.key_env to null",
        "set train.optimizer: adamw",
        "see config.json and metadata.jsonl",
    ],
)
def test_what_exists_is_no_problem(text: str) -> None:
    assert problems(text) == []
