"""Architecture as tests: imports point one way, light modules stay light, files and functions stay short."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import rushes

PACKAGE = Path(rushes.__file__).resolve().parent
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"errors"}),
    frozenset({"records", "texts"}),
    frozenset({"roles", "chat"}),
    frozenset({"specs", "diagnose_specs", "film_specs", "model_specs", "train_specs", "execute"}),
    frozenset({"store", "recipe", "recipes", "dimensions", "plugins", "video", "llm"}),
    frozenset(
        {"sandbox", "families", "diagnose", "prompts", "generate", "judge", "weights", "train", "measure", "report"}
        | {"workbench", "plan", "status", "doctor", "vbench", "export"}
    ),
    frozenset({"steps", "drafting", "crew", "result", "remembered", "elsewhere"}),
    frozenset({"pipeline"}),
    frozenset({"calibrate"}),
    frozenset({"cli", "__main__", "results"}),
)
"""Who may import whom at the top of a module: the own layer and those before it."""

LIGHT = frozenset({"errors", "records", "roles", "specs", "recipe", "store", "execute", "status", "cli", "__main__"})
"""What `rushes --help` may load: nothing of these, directly or through others, imports a heavy library at the top."""

HEAVY = frozenset(
    {"torch", "diffusers", "transformers", "tokenizers", "peft", "accelerate", "safetensors", "numpy", "scipy", "cv2"}
    | {"av", "PIL", "jinja2", "ray"}
)

TOP = frozenset({"pipeline", "calibrate", "cli", "__main__", "results"})
"""What nothing below may import, not even inside a function."""

MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 60


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree_of(name: str) -> ast.Module:
    return ast.parse(modules()[name].read_text(encoding="utf-8"), str(modules()[name]))


@cache
def imported(name: str, *, in_functions: bool, for_types: bool) -> set[str]:
    """Dotted names that a module imports; `from a import b` gives a.b where that is a module, else a."""
    found: set[str] = set()
    for node in _statements(tree_of(name), in_functions=in_functions, for_types=for_types):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                base = name.split(".") if modules()[name].name == "__init__.py" else name.split(".")[:-1]
                source = ".".join([*base[: len(base) - node.level + 1], *filter(None, [node.module])])
            for alias in node.names:
                full = f"{source}.{alias.name}"
                found.add(full if full in modules() else source)
    return found


def _statements(node: ast.AST, *, in_functions: bool, for_types: bool) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) and not in_functions:
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test) and not for_types:
            continue
        yield child
        yield from _statements(child, in_functions=in_functions, for_types=for_types)


def part_of(module: str) -> str:
    """`rushes.store.run` -> `store`; the package itself -> ``."""
    return module.split(".")[1] if "." in module else ""


def rank(part: str) -> int:
    return next(i for i, layer in enumerate(LAYERS) if part in layer)


def test_every_part_has_a_layer() -> None:
    named = frozenset().union(*LAYERS)
    assert {part_of(name) for name in modules()} - {""} <= named


@pytest.mark.parametrize("name", [name for name in modules() if part_of(name)])
def test_imports_point_one_way(name: str) -> None:
    own = rank(part_of(name))
    targets = {m for m in imported(name, in_functions=False, for_types=True) if m.startswith("rushes.")}
    upward = sorted(target for target in targets if rank(part_of(target)) > own)
    assert not upward, f"{name} imports from a later layer: {upward}"


@pytest.mark.parametrize("name", [name for name in modules() if part_of(name) not in TOP | {""}])
def test_nothing_reaches_for_the_top(name: str) -> None:
    targets = imported(name, in_functions=True, for_types=True)
    assert not {t for t in targets if t.startswith("rushes.") and part_of(t) in TOP}


def test_importing_rushes_loads_nothing() -> None:
    assert not imported("rushes", in_functions=False, for_types=False) - {"__future__"}


@pytest.mark.parametrize("name", [name for name in modules() if part_of(name) in LIGHT])
def test_light_modules_stay_light(name: str) -> None:
    """Follows imports at module level from `name`; says through which chain a heavy library comes in."""
    came_from: dict[str, str] = {name: ""}
    queue = [name]
    while queue:
        module = queue.pop()
        for target in imported(module, in_functions=False, for_types=False):
            chain = [target, module]
            while came_from.get(chain[-1]):
                chain.append(came_from[chain[-1]])
            assert target.split(".")[0] not in HEAVY, f"heavy import: {' <- '.join(chain)}"
            if target in modules() and target not in came_from:
                came_from[target] = module
                queue.append(target)


def reached(start: str) -> set[str]:
    """Every module of the package that `start` can come to load, imports inside functions included."""
    found, queue = {start}, [start]
    while queue:
        for target in imported(queue.pop(), in_functions=True, for_types=False):
            # Importing a.b runs a as well.
            parents = [".".join(target.split(".")[:i]) for i in range(2, target.count(".") + 2)]
            for module in parents:
                if module in modules() and module not in found:
                    found.add(module)
                    queue.append(module)
    return found


def test_judge_and_measurer_share_no_code_that_sees() -> None:
    """The judge that teaches never loads the measurer that reports, nor the other way round; neither sees the truth."""
    judge, measurer = reached("rushes_sandbox.vqa.judge"), reached("rushes_sandbox.measurer")
    assert "rushes_sandbox.perception" in measurer
    assert not {name for name in judge if name.startswith("rushes_sandbox.perception")}
    assert not {name for name in measurer if name.startswith("rushes_sandbox.vqa")}
    assert "rushes_sandbox.truth" not in judge | measurer


def test_command_line_loads_nothing_heavy() -> None:
    """The same in a real process, where a library could pull in another."""
    code = f"import sys; from rushes.cli import main; print(sorted(set({sorted(HEAVY)!r}) & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", modules())
def test_files_are_short(name: str) -> None:
    num_lines = len(modules()[name].read_text(encoding="utf-8").splitlines())
    assert num_lines <= MAX_FILE_LINES, f"{name} has {num_lines} lines"


@pytest.mark.parametrize("name", modules())
def test_functions_are_short(name: str) -> None:
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1}"
        for node in ast.walk(tree_of(name))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    ]
    assert not long, f"{name} has functions above {MAX_FUNCTION_LINES} lines: {long}"
