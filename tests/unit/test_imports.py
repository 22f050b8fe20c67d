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

SOURCE = Path(rushes.__file__).resolve().parents[1]
PACKAGES = ("rushes", "rushes_sandbox", "rushes_vbench")

KNOWS = {
    "known_keys": "",
    "plain": "known_keys",
    "errors": "plain",
    "extensions": "",
    "findings": "errors",
    "records": "errors",
    "execute": "errors",
    "statistics": "records",
    "display": "records",
    "roles": "execute records",
    "feedback": "errors records roles",
    "dimensions": "errors records",
    "recipe": "dimensions errors extensions plain records roles",
    "plugins": "errors extensions feedback recipe roles",
    "store": "errors execute known_keys plain plugins recipe records roles",
    "llm": "errors execute known_keys recipe roles store",
    "families": "errors execute recipe records store",
    "plan": "errors families feedback plugins recipe records roles statistics store",
    "context": "errors execute families plan recipe records store",
    "prompts": "context dimensions errors execute llm plugins recipe records roles store",
    "generate": "context errors execute families recipe records roles store",
    "judge": "context errors execute extensions families feedback findings generate known_keys llm plain plugins"
    " recipe records roles store",
    "testing": "feedback judge plugins records roles store",
    "weights": "context errors judge plugins recipe records roles",
    "train": "context errors execute families judge plugins recipe records roles store",
    "preflight": "context dimensions errors execute families feedback findings judge llm plain plan plugins prompts"
    " recipe records roles store train",
    "measure": "context display errors execute families feedback findings generate judge plan plugins recipe records"
    " roles statistics store",
    "diagnose": "context errors execute families feedback generate judge measure plugins prompts recipe records"
    " statistics store",
    "watch": "context errors families feedback generate judge measure plugins recipe records statistics store train",
    "audit": "display errors execute extensions feedback judge known_keys plain plugins prompts recipe records roles"
    " statistics store",
    "report": "audit context display errors extensions families feedback judge measure plain plan plugins prompts"
    " recipe records roles statistics store train watch weights",
    "export": "display errors families known_keys measure recipe records report store",
    "sample": "errors execute export families generate prompts recipe records roles store",
    "vote": "audit dimensions display errors judge recipe records report statistics store",
    "view": "display errors judge measure plain plan recipe records report sample statistics store vote watch",
    "doctor": "extensions",
    "pipeline": "context diagnose execute generate judge measure preflight prompts recipe records report store train"
    " watch weights",
    "cli": "audit diagnose doctor errors execute export extensions families findings pipeline plain plan plugins"
    " preflight prompts recipe records report sample statistics store train view vote watch",
    "__main__": "cli",
}
"""Who may know whom, from the bottom up: a part imports what stands here and nothing else, inside functions too. A part
knows only parts above it in this table, so there can be no circle. `recipes` holds data. The two plug-ins may know any
part of the core but the pipeline, and the core knows neither."""

LIGHT = frozenset(
    {
        "known_keys",
        "plain",
        "errors",
        "records",
        "roles",
        "recipe",
        "extensions",
        "plugins",
        "store",
        "execute",
        "cli",
        "__main__",
    }
)
"""What `rushes --help` may load: nothing of these, directly or through others, imports a heavy library at the top."""

WITH_NUMPY = frozenset({"rushes.store.video", "rushes.store.cut", "rushes.store.decoding"})
"""Of the light parts, what only modules with frames in hand import."""

HEAVY = frozenset(
    {"torch", "diffusers", "transformers", "tokenizers", "peft", "accelerate", "safetensors", "numpy", "scipy", "cv2"}
    | {"av", "PIL", "jinja2", "ray"}
)

MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_PARAMETERS = 400, 60, 8


@cache
def modules() -> dict[str, Path]:
    """Every module of the three packages by dotted name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((SOURCE / package).rglob("*.py")):
            parts = path.relative_to(SOURCE).with_suffix("").parts
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
    """`rushes.store.run` -> `store`, `rushes_vbench.suite` -> `rushes_vbench`; the core itself -> ``."""
    names = module.split(".")
    return names[0] if names[0] != "rushes" else "".join(names[1:2])


def own(targets: set[str]) -> set[str]:
    """Those of our own modules."""
    return {each for each in targets if each.split(".")[0] in PACKAGES}


def test_the_table_holds_every_part_in_order() -> None:
    parts = {part_of(name) for name in modules()} - {"", "recipes", "rushes_sandbox", "rushes_vbench"}
    assert set(KNOWS) == parts
    order = list(KNOWS)
    for part, known in KNOWS.items():
        assert set(known.split()) <= set(order[: order.index(part)]), f"{part} stands above what it knows"


@pytest.mark.parametrize("part", KNOWS)
def test_a_part_knows_whom_the_table_says(part: str) -> None:
    found: dict[str, str] = {}
    for name in (each for each in modules() if part_of(each) == part):
        for target in own(imported(name, in_functions=True, for_types=False)):
            found.setdefault(part_of(target), f"{name} -> {target}")
    known = set(KNOWS[part].split())
    unknown = {each: why for each, why in found.items() if each not in known | {part, ""}}
    assert not unknown, f"{part} may not know these: {unknown}"
    assert known <= set(found), f"{part} does not need: {sorted(known - set(found))}"


@pytest.mark.parametrize("package", ["rushes_sandbox", "rushes_vbench"])
def test_a_plug_in_stands_beside_the_pipeline_and_the_other_plug_in(package: str) -> None:
    names = [each for each in modules() if part_of(each) == package]
    found = {part_of(t) for name in names for t in own(imported(name, in_functions=True, for_types=True))}
    assert found <= set(KNOWS) - {"pipeline", "context", "preflight", "train", "__main__"} | {package}


def test_no_file_is_part_of_a_circle() -> None:
    """Imports inside functions count; those for types alone do not."""
    graph = {name: own(imported(name, in_functions=True, for_types=False)) & set(modules()) for name in modules()}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, f"a circle: {' -> '.join((*way[way.index(name) :], name))}"
        if name not in done:
            for target in sorted(graph[name] - {name}):
                visit(target, (*way, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_importing_rushes_loads_nothing() -> None:
    assert not imported("rushes", in_functions=False, for_types=False) - {"__future__"}


@pytest.mark.parametrize("name", [name for name in modules() if part_of(name) in LIGHT and name not in WITH_NUMPY])
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


@pytest.mark.parametrize("name", modules())
def test_functions_take_few_parameters(name: str) -> None:
    """Commands with many options take them as one value: `rushes.cli.options.taking`."""
    many = {}
    for node in ast.walk(tree_of(name)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names = [each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            many[node.name] = len([each for each in names if each not in ("self", "cls")])
    many = {each: num for each, num in many.items() if num > MAX_PARAMETERS}
    assert not many, f"{name} has functions with more than {MAX_PARAMETERS} parameters: {many}"


def test_the_core_names_neither_plug_in_in_its_code() -> None:
    """Nor by a text that would be imported; docstrings, help and examples in messages may name them."""
    found = [
        f"{name}: {node.value}"
        for name in modules()
        if name.split(".")[0] == "rushes"
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.partition(":")[0].split(".")[0] in ("rushes_sandbox", "rushes_vbench")
        and " " not in node.value
    ]
    assert not found
