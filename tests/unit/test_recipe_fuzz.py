"""Odd recipes: whatever a file, `--set` or a name holds, the outcome is a recipe or an error that teaches."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

from rushes.errors import RecipeError
from rushes.plain import plain
from rushes.recipe.load import load_recipe, packaged_recipes, parse_recipe
from rushes.recipe.recipe import Recipe
from rushes.recipe.schema import all_settings
from rushes.recipe.template import recipe_yaml
from rushes.recipe.yaml_reader import dotted

SECRET = "sk-Zq9vT4mWxY7bK2nR8cLd"
ODD = [
    *(".inf", "-.inf", ".nan", "1e400", "-1e400", "1e-400", "9" * 400, "9" * 5000, "0x" + "f" * 5000, "-1", "0", "1.5"),
    *(
        "true",
        "no",
        "~",
        "",
        "''",
        "2026-01-01",
        "12:30:00",
        "0o17",
        "1_000",
        "+3",
        "-0.0",
        "9223372036854775807",
        "1e18",
    ),
    *("[" * 40 + "]" * 40, "[" * 900, "{a: " * 60 + "}" * 60, "[[], {}]", "{}", "[]", "{? [a] : b}", "{1: 2}", "? x"),
    *(
        "&a [*a]",
        "*nobody",
        "!!python/name:os.system x",
        "!!binary aGk=",
        "!!timestamp 2026-01-01",
        "!mine x",
        "!!int x",
    ),
    *(
        "x" * 3000,
        '"\\0"',
        '"\\e[31mred\\e[0m"',
        '"\\ud800"',
        '"\\u202e"',
        '"\\x9b2J"',
        "\x1b[2J",
        "\x00",
        "\t",
        "\r",
        "\ufeff",
    ),
    *(
        "|\n  a\n  b",
        "- a",
        "'",
        '"',
        "}",
        ": :",
        "%TAG",
        "---",
        "...",
        "@x",
        "`x`",
        "\U0001f3ac",
        "<<: {a: 1}",
        "a b: c",
    ),
    *(SECRET, f"'http://user:{SECRET}@host/v1'", f"Bearer {SECRET}", f"{{api_key: {SECRET}}}", f"[{SECRET}"),
]
PATHS = [dotted(setting.path) for setting in all_settings(Recipe)]
NAMES = [*PATHS, "api_key", "runtime.servers.main.token", "prompts.writer.options.x", "from", "name", "a" * 300, SECRET]


def odd_text(rng: random.Random) -> str:
    """A packaged recipe with a few of its lines and values spoiled."""
    lines = rng.choice(list(packaged_recipes().values())).splitlines()
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(lines))
        spoil: list[Callable[[str], str]] = [
            lambda line: re.sub(r":.*", lambda _: f": {rng.choice(ODD)}", line),
            lambda line: re.sub(r"\w+:", f"{rng.choice(NAMES)}:", line, count=1),
            lambda line: f"{line}\n{line}",
            lambda line: "\t" + line,
            lambda line: " " * rng.randrange(9) + line.strip(),
            lambda line: line[: rng.randrange(len(line) + 1)] + rng.choice(ODD),
            lambda line: "",
        ]
        lines[at] = rng.choice(spoil)(lines[at])
    return rng.choice(["", "", "", "\ufeff", "%YAML 1.1\n---\n"]) + "\n".join(lines)


def outcome(read: Callable[[], Recipe]) -> Recipe | str:
    """The recipe, which reads back from its own template, or the message, which shows no key and moves no terminal."""
    try:
        recipe = read()
    except RecipeError as error:
        said = str(error)
        assert SECRET not in said and plain(said) == said and len(said) < 20_000
        said.encode("utf-8")
        return said
    written = recipe_yaml(recipe)
    assert SECRET not in written and parse_recipe(written, source="again") == recipe
    return recipe


def check(seed: int, num: int, folder: Path) -> None:
    """Read `num` odd recipes, as text, as overrides and as files."""
    rng = random.Random(seed)
    file = folder / "odd.yaml"
    for _ in range(num):
        text = odd_text(rng)
        overrides = [f"{rng.choice(NAMES)}={rng.choice(ODD)}" for _ in range(rng.choice([0, 1, 1, 2]))]
        outcome(lambda text=text, overrides=overrides: parse_recipe(text, source="odd", overrides=overrides))  # type: ignore[misc]
        outcome(lambda overrides=overrides: load_recipe("tiny", overrides))  # type: ignore[misc]
        data = text.encode(rng.choice(["utf-8", "utf-8", "utf-16", "latin-1"]), "replace")
        cut = rng.randrange(len(data))
        file.write_bytes(data[:cut] + rng.randbytes(rng.choice([0, 3])) + data[cut:])
        outcome(lambda: load_recipe(file))


def test_no_odd_recipe_gives_a_traceback_or_shows_a_key(tmp_path: Path) -> None:
    check(0, 400, tmp_path)


def test_every_setting_takes_or_refuses_odd_values() -> None:
    rng = random.Random(1)
    for name in [*PATHS, "prompts.writer.options.any", "runtime.servers.main.url"]:
        value = f"{name}={rng.choice(ODD)}"
        outcome(lambda value=value: load_recipe("tiny", [value]))  # type: ignore[misc]


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").touch()
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    long = tmp_path / "long.yaml"
    long.write_bytes(b"#" * (5 << 20))
    for wanted in (
        "/dev/zero",
        "/dev/null",
        str(tmp_path),
        "x" * 5000 + ".yaml",
        "a\0.yaml",
        "\udcff.yaml",
        "",
        str(long),
    ):
        assert isinstance(outcome(lambda wanted=wanted: load_recipe(wanted)), str), wanted  # type: ignore[misc]
    for name in ("empty", "loop"):
        assert isinstance(outcome(lambda name=name: load_recipe(tmp_path / f"{name}.yaml")), str)  # type: ignore[misc]
