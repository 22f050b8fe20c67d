"""What is built: a wheel that works outside the checkout and knows its commit, and an sdist that makes the same."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from urllib.request import HTTPCookieProcessor, build_opener

import pytest
import torch
from markdown_it import MarkdownIt

from rushes.recipe.load import load_recipe, packaged_recipes
from rushes.store import provenance
from tests.support.other_packages import asked_for, packages

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Built:
    """What one build of the checkout gave."""

    sdist: Path
    wheel: Path


def ran(*command: str | Path, cwd: Path, path: Path | None = None) -> str:
    """What a command prints; it must succeed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    more = {"PYTHONPATH": str(path)} if path else {}
    done = subprocess.run(command, cwd=cwd, env={**environment, **more}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


def build(root: Path, kind: str, target: Path) -> Path:
    """Build a checkout or an unpacked sdist, without the network."""
    ran(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", target, cwd=root, path=packages("build"))
    return next(target.iterdir())


@pytest.fixture(scope="module")
def built(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    if not (root / ".git").exists():
        pytest.skip("this is no checkout")
    folder = tmp_path_factory.mktemp("dist")
    return Built(build(root, "sdist", folder / "sdist"), build(root, "wheel", folder / "wheel"))


@pytest.fixture(scope="module")
def unpacked(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist's one folder."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(built.sdist) as archive:
        archive.extractall(folder, filter="data")
    return next(folder.iterdir())


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, installed in a folder of its own."""
    folder = tmp_path_factory.mktemp("installed")
    options = ["--quiet", "--no-deps", "--no-index", "--target", folder]
    ran(sys.executable, "-m", "pip", "install", *options, built.wheel, cwd=folder)
    return folder


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        name = next(each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        return message_from_bytes(archive.read(name))


def test_the_tools_are_those_of_the_build(root: Path) -> None:
    wanted = (root / "pyproject.toml").read_text(encoding="utf-8").partition('requires = ["')[2].partition('"')[0]
    assert f"{wanted} " in asked_for("build")


def test_a_wheel_knows_its_commit(root: Path, built: Built, installed: Path, tmp_path: Path) -> None:
    if ran("git", "tag", "--points-at", "HEAD", cwd=root):
        pytest.skip("a release: its version names the tag")
    here = ran("git", "rev-parse", "HEAD", cwd=root)
    is_dirty = bool(ran("git", "status", "--porcelain", cwd=root))
    script = "from rushes.store import provenance as p; print(p.__file__, p.rushes_version(), *p.commit())"
    place, version, commit, dirty = ran(sys.executable, "-c", script, cwd=tmp_path, path=installed).split()
    assert Path(place).is_relative_to(installed)
    assert version == metadata(built.wheel)["Version"] and version.partition("+")[0] == provenance.rushes_version()
    assert here.startswith(commit) and len(commit) == 12
    assert dirty == str(is_dirty)


def test_a_wheel_works_outside_the_checkout(built: Built, installed: Path, tmp_path: Path) -> None:
    def rushes(*words: str) -> str:
        return ran(sys.executable, "-m", "rushes", *words, cwd=tmp_path, path=installed)

    assert "--home" in rushes("run", "sandbox", "--help")
    assert rushes("--version") == metadata(built.wheel)["Version"]
    script = "from rushes.recipe.load import *; print(*[load_recipe(each).name for each in sorted(packaged_recipes())])"
    found = ran(sys.executable, "-c", script, cwd=tmp_path, path=installed).split()
    assert found == [load_recipe(each).name for each in sorted(packaged_recipes())] and "sandbox" in found


@pytest.fixture(scope="module")
def fresh(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a new virtual environment with the wheel, as pip installs it.

    All that the wheel requires is lent from here by a `.pth` file, since torch takes minutes to install. Rushes itself
    is not: a folder that such a file names is searched after those of the environment, and its own `.pth` files, such
    as that of an editable install, are not read.
    """
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(folder, with_pip=True, symlinks=True)
    (site,) = folder.glob("lib/python3*/site-packages")
    (site / "lent.pth").write_text(str(Path(torch.__file__).parents[1]))
    options = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--force-reinstall"]
    ran(folder / "bin" / "python", "-m", "pip", "install", *options, built.wheel, cwd=folder)
    return folder / "bin"


def test_all_that_a_wheel_requires_is_what_it_is_tested_with(fresh: Path, tmp_path: Path) -> None:
    done = subprocess.run([fresh / "python", "-m", "pip", "check"], cwd=tmp_path, capture_output=True, text=True)
    assert [line for line in done.stdout.splitlines() if line.startswith("rushes ")] == []
    assert ran(fresh / "rushes", "--version", cwd=tmp_path) in ran(fresh / "python", "-m", "pip", "list", cwd=tmp_path)


def test_an_installed_wheel_runs_a_recipe_and_shows_it(built: Built, fresh: Path, tmp_path: Path) -> None:
    """In an empty folder: run, report and studio; nothing of the checkout is read."""
    where = "import rushes, rushes_sandbox as s, rushes_vbench as v; print(rushes.__file__, s.__file__, v.__file__)"
    assert all(
        Path(each).is_relative_to(fresh.parent) for each in ran(fresh / "python", "-c", where, cwd=tmp_path).split()
    )
    smallest = ["prompts.num_weakness=2", "train.num_steps=1", "train.warmup_steps=0", "measure.num_diversity_takes=2"]
    sets = [word for each in smallest for word in ("--set", each)]
    ran(fresh / "rushes", "run", "tiny", "--home", "runs/first", *sets, cwd=tmp_path)
    assert "report: runs/first/report.html" in ran(fresh / "rushes", "report", "runs/first", cwd=tmp_path)
    assert f'"{metadata(built.wheel)["Version"]}"' in (tmp_path / "runs/first/header.json").read_text()
    with subprocess.Popen(
        [fresh / "rushes", "view", "--port", "0"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as studio:
        assert studio.stdout is not None
        link = studio.stdout.readline().removeprefix("studio: ").strip()
        with build_opener(HTTPCookieProcessor()).open(link, timeout=60) as page:
            shown = page.read().decode()
        studio.send_signal(signal.SIGINT)
    assert "first" in shown and "</html>" in shown


def test_an_sdist_makes_the_same_wheel(built: Built, unpacked: Path, tmp_path: Path) -> None:
    again = build(unpacked, "wheel", tmp_path / "wheel")
    assert again.name == built.wheel.name
    with zipfile.ZipFile(built.wheel) as one, zipfile.ZipFile(again) as other:
        assert {each.filename: each.CRC for each in one.infolist()} == {
            each.filename: each.CRC for each in other.infolist()
        }


def test_an_sdist_has_all_that_the_checkout_has(root: Path, unpacked: Path) -> None:
    tracked = {Path(line).parts[0] for line in ran("git", "ls-files", cwd=root).splitlines()}
    assert tracked - {each.name for each in unpacked.iterdir()} == set()


def addresses(wheel: Path, attribute: str) -> list[str]:
    """Where pictures (`src`) or links (`href`) of the page of an index lead.

    The page is the description rendered as Markdown. Indexes also drop `data:` addresses (readme_renderer 46).
    """
    text = metadata(wheel).get_payload()
    assert isinstance(text, str) and "make demo" in text
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    return re.findall(rf'\b{attribute}="([^"#]+)"', page)


def test_without_an_address_the_page_of_an_index_has_words_for_pictures(built: Built) -> None:
    assert addresses(built.wheel, "src") == []
    assert all(each.startswith("https://") for each in addresses(built.wheel, "href"))
    assert "*The loop: diagnose, write," in str(metadata(built.wheel).get_payload())


def test_with_an_address_every_picture_and_link_of_the_page_leads_there(
    root: Path, tmp_path: Path, unpacked: Path
) -> None:
    project = shutil.copytree(unpacked, tmp_path / "project")
    (project / "PKG-INFO").unlink()  # has the README of the sdist
    with (project / "pyproject.toml").open("a") as file:
        file.write('\n[project.urls]\nSource = "https://a.example/x/"\n')
    wheel = build(project, "wheel", tmp_path / "wheel")
    pictures = addresses(wheel, "src")
    assert "https://a.example/x/raw/HEAD/docs/images/loop.svg" in pictures and len(pictures) > 1
    assert all((root / each.removeprefix("https://a.example/x/raw/HEAD/")).is_file() for each in pictures)
    assert all(each.startswith("https://") for each in addresses(wheel, "href"))


@pytest.mark.parametrize(
    ("written", "bare", "led"),
    [
        ("![a b](docs/x.png)", "*a b*", "![a b](https://S/raw/c/docs/x.png)"),
        ('![a](docs/x.png "title")', "*a*", "![a](https://S/raw/c/docs/x.png)"),
        ('<img width="300" alt="a" src="docs/x.png">', "*a*", "![a](https://S/raw/c/docs/x.png)"),
        ("[![a](docs/x.png)](docs/y.md)", "*a*", "[![a](https://S/raw/c/docs/x.png)](https://S/blob/c/docs/y.md)"),
        ("[![a](https://b/x.png)](y.md)", "![a](https://b/x.png)", "[![a](https://b/x.png)](https://S/blob/c/y.md)"),
        ("![a](https://b/x.png) [c](#d)", "![a](https://b/x.png) [c](#d)", "![a](https://b/x.png) [c](#d)"),
    ],
)
def test_pictures_and_links_however_they_are_written(root: Path, written: str, bare: str, led: str) -> None:
    both = f"(b.for_index({written!r}, each, 'c') for each in (None, 'https://S'))"
    script = f"import hatch_build as b; print(*{both}, sep='\\n')"
    assert ran(sys.executable, "-c", script, cwd=root, path=packages("build")).splitlines() == [bare, led]
