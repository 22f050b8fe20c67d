"""Spoiled recipes: each is accepted, or refused with an error that teaches; no traceback, and no secret is printed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.trouble.lives import Life, live
from benchmarks.trouble.tally import Fault, Outcome
from rushes.cli.main import EXIT_USER_ERROR, main
from rushes.recipe.load import packaged_recipes

SECRET: Final = "sk-RecipeSecret0123456789abcdefXYZ"
_ODD: Final = (
    *("-1", "0", "1e400", "9" * 400, "-" + "9" * 30, ".nan", ".inf", "null", "true", "[]", "{}", '""', "'\\ud800'"),
    *('"\\ud800"', "[[[[1]]]]", "{a: {b: {c: 1}}}", "0x7fffffffffffffffffff", "1_000", "2026-01-01", "yes", "!!str x"),
    *("!!python/object/apply:os.system ['true']", "&a [*a]", "*missing", '"\\e[2Jred\\a"', "x" * 3000, "99:99:99"),
    *("../../etc/passwd", "/dev/full", "1e-400", "'{{ 7*7 }}'", "\u202eevil", "${HOME}", "<script>alert(1)</script>"),
)
_KEYS: Final = ("api_key", "token", "hf_token", "secret", "password", "openai_key", "authorization", "key")
_PLACES: Final = ("", "judge", "runtime", "runtime.servers.main", "prompts.writer", "measure", "base", "train")


@dataclass(frozen=True)
class _Spoiled:
    what: str
    text: bytes
    overrides: tuple[str, ...] = ()


def recipes(seed: int, count: int, scratch: Path) -> Iterator[Outcome]:
    """Plan `count` spoiled recipes, as `rushes plan` does."""
    scratch.mkdir(parents=True, exist_ok=True)
    rng = random.Random(f"{seed}-recipes")
    names = list(packaged_recipes())
    for number in range(count):
        name = rng.choice(names)
        spoiled = _spoil(packaged_recipes()[name], rng)
        file = scratch / "recipe.yaml"
        file.write_bytes(spoiled.text)
        options = [part for override in spoiled.overrides for part in ("--set", override)]
        command = ["plan", str(file), "--no-calibrate", *options]
        life = live(partial(main, command), scratch / "log.txt", limit_s=60.0)
        yield Outcome(f"recipes {seed}: number {number}, {name}, {spoiled.what}", tuple(verdict(life)))


def verdict(life: Life) -> list[Fault]:
    """What was wrong with how a spoiled recipe was received."""
    faults = []
    if life.bug or life.exit_code not in (0, EXIT_USER_ERROR):
        faults.append(Fault("traceback", life.bug or f"exit {life.exit_code}: {life.last_line}"))
    elif life.exit_code == EXIT_USER_ERROR and not _teaches(life.said):
        faults.append(Fault("lost", f"the error does not say what to do: {life.said[:300]}"))
    if SECRET in life.said:
        faults.append(Fault("leak", f"the secret is printed: {life.said.replace(SECRET, '<secret>')[:300]}"))
    if "\x1b" in life.said or "\x07" in life.said:
        faults.append(Fault("leak", f"a terminal escape is printed: {life.said[:300]!r}"))
    return faults


def _teaches(said: str) -> bool:
    return "error: " in said and any(word in said for word in ("next: ", "expected: "))


def _spoil(text: str, rng: random.Random) -> _Spoiled:
    makers: Sequence[Callable[[str, random.Random], _Spoiled]] = (
        *(_value, _value, _value, _override, _override, _secret, _secret),
        *(_lines, _lines, _misspelt, _nested, _bytes, _named),
    )
    return rng.choice(makers)(text, rng)


def _settings(lines: list[str]) -> list[int]:
    """Positions of the lines that set something."""
    return [at for at, line in enumerate(lines) if ":" in line and not line.lstrip().startswith("#")]


def _value(text: str, rng: random.Random) -> _Spoiled:
    lines = text.splitlines()
    what = []
    for at in rng.sample(_settings(lines), rng.randint(1, 2)):
        key, odd = lines[at].split(":")[0], rng.choice(_ODD)
        lines[at] = f"{key}: {odd}"
        what.append(f"{key.strip()}: {odd[:40]}")
    return _Spoiled("; ".join(what), "\n".join(lines).encode("utf-8", "surrogatepass"))


def _override(text: str, rng: random.Random) -> _Spoiled:
    from rushes.recipe.recipe import Recipe
    from rushes.recipe.schema import all_settings

    paths = sorted({".".join(map(str, setting.path)) for setting in all_settings(Recipe)})
    override = f"{rng.choice(paths)}={rng.choice(_ODD)}"
    return _Spoiled(f"--set {override[:80]}", text.encode(), (override,))


def _secret(text: str, rng: random.Random) -> _Spoiled:
    """A key where none belongs: in the recipe, in an override, or as the value of a setting that is known."""
    path = ".".join(part for part in (rng.choice(_PLACES), rng.choice(_KEYS)) if part)
    kind = rng.randrange(4)
    if kind == 0:
        return _Spoiled(f"--set {path}=SECRET", text.encode(), (f"{path}={SECRET}",))
    if kind == 1:
        override = f"runtime.servers.main.key_env={SECRET}"
        return _Spoiled("key_env=SECRET", text.encode(), ("runtime.servers.main.url=http://localhost:1/v1", override))
    if kind == 2:
        override = f"runtime.servers.main.url=http://user:{SECRET}@localhost/v1"
        return _Spoiled("url with SECRET", text.encode(), (override,))
    *parents, last = path.split(".")
    added = "".join(f"{'  ' * depth}{name}:\n" for depth, name in enumerate(parents))
    line = f"{'  ' * len(parents)}{last}: {SECRET}\n"
    return _Spoiled(f"{path}: SECRET in the file", f"from: sandbox\n{added}{line}".encode())


def _lines(text: str, rng: random.Random) -> _Spoiled:
    lines = text.splitlines()
    at = rng.randrange(len(lines))
    change = rng.choice(("removed", "repeated", "indented", "tab", "cut off here"))
    if change == "removed":
        del lines[at]
    elif change == "repeated":
        lines.insert(at, lines[at])
    elif change == "indented":
        lines[at] = f" {lines[at]}"
    elif change == "tab":
        lines[at] = f"\t{lines[at]}"
    else:
        lines = [*lines[:at], lines[at][: len(lines[at]) // 2]]
    return _Spoiled(f"line {at + 1} {change}", "\n".join(lines).encode())


def _misspelt(text: str, rng: random.Random) -> _Spoiled:
    lines = text.splitlines()
    at = rng.choice(_settings(lines))
    key, rest = lines[at].split(":", 1)
    place = rng.randrange(len(key) + 1)
    lines[at] = f"{key[:place]}{rng.choice('xq_9')}{key[place:]}:{rest}"
    return _Spoiled(f"{lines[at].strip()[:60]}", "\n".join(lines).encode())


def _nested(text: str, rng: random.Random) -> _Spoiled:
    depth = rng.choice((20, 150, 400, 900, 3000))
    left, right = rng.choice((("[", "]"), ("{a: ", "}"), ("- ", "")))
    value = left * depth + "1" + right * depth
    if left == "- ":
        value = "\n" + "".join(f"{'  ' * level}-\n" for level in range(1, min(depth, 400)))
    if rng.random() < 0.5 and left != "- ":
        return _Spoiled(f"--set name, {depth} deep", text.encode(), (f"name={value}",))
    return _Spoiled(f"{depth} deep {left!r}", f"{text}\nextra: {value}\n".encode())


def _bytes(text: str, rng: random.Random) -> _Spoiled:
    data = bytearray(text.encode())
    for _ in range(rng.choice((1, 1, 4, 40))):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return _Spoiled("wrong bytes", bytes(data))


def _named(text: str, rng: random.Random) -> _Spoiled:
    """Names and paths with characters that a terminal or a shell would act on."""
    odd = rng.choice(
        ('"\\e]0;title\\a\\e[31mred"', '"a\\nb"', '"\\0"', '"\\u202eevil"', '"..\\/..\\/x"', '"\\u009b2J"')
    )
    setting = rng.choice(("name", "base.model", "prompts.real.folder", "runtime.ray_address", "judge.judge.use"))
    return _Spoiled(f"--set {setting}={odd}", text.encode(), (f"{setting}={odd}",))
