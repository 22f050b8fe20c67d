"""A Hub that misbehaves, played by a server: each of its answers becomes an error that says what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.support.odd_hub import Answer, OddHub, file, page, refusal

INDEX: Final = json.dumps({"_class_name": "WanPipeline"}).encode()
SPELLING: Final = "check the spelling"
TOKEN: Final = "HF_TOKEN"
ONLINE: Final = "copy the model here"
ANEW: Final = "--force-download"

ODD: Final[dict[str, tuple[Answer, str, str]]] = {
    # What the Hub tells those who are not logged in of a model that is not there.
    "missing": (refusal(401, "RepoNotFound", "Invalid username or password."), "neither a local folder", SPELLING),
    "missing-to-users": (refusal(404, "RepoNotFound", "Repository not found"), "neither a local folder", SPELLING),
    "gated": (refusal(401, "GatedRepo", "Access restricted"), "accept its terms", "accept them on its page"),
    "gated-to-users": (refusal(403, "GatedRepo", "Access restricted"), "accept its terms", "accept them on its page"),
    "no-revision": (refusal(404, "RevisionNotFound"), "no such revision", "base.revision"),
    "no-index": (refusal(404, "EntryNotFound"), "not a diffusers pipeline", "-Diffusers"),
    "bad-token": (refusal(401, None, "Invalid credentials in Authorization header"), "refused access", TOKEN),
    "forbidden": (refusal(403), "refused access", TOKEN),
    "disabled": (refusal(403, None, "Access to this resource is disabled."), "refused access", TOKEN),
    "broken": (refusal(500), "500", ONLINE),
    "busy": (refusal(503), "503", ONLINE),
    "too-often": (refusal(429), "429", ONLINE),
    "page": (page(), "cannot be reached", ONLINE),
    "page-404": (page(404), "404", ONLINE),
    "page-as-file": (file(page().body), "cannot be read", ANEW),
    "half": (file(INDEX[:10]), "cannot be read", ANEW),
    "list": (file(b"[]"), "not a diffusers index", ANEW),
    "cut": (file(INDEX, is_cut=True), "cannot be reached", ONLINE),
}
"""Per model: what the Hub answers, what is said of it, and the next step."""

LOOK: Final = """
import json, sys, time
time.sleep = lambda seconds: None  # the Hub's client waits between its tries
from rushes.errors import InputError
from rushes.families.folder import family_of
from rushes.recipe.recipe import BaseModelSpec
said = {}
for name in sys.argv[1:]:
    try:
        said[name] = [family_of(BaseModelSpec(model=name)), "", ""]
    except InputError as error:
        said[name] = [type(error).__name__, str(error), error.next_step]
    except Exception as error:
        said[name] = [type(error).__name__, repr(error), ""]
print(json.dumps(said))
"""


@dataclass(frozen=True)
class Said:
    """What came of looking at a model: its family or the error's class, the error's words, its next step."""

    outcome: str
    words: str
    next_step: str


def look(url: str, cache: Path, *models: str) -> dict[str, Said]:
    """Look at models in a process of its own: the Hub's client reads its settings when it is imported."""
    own = {
        "HF_ENDPOINT": url,
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(cache),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    command = [sys.executable, "-c", LOOK, *models]
    done = subprocess.run(command, env={**os.environ, **own}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return {model: Said(*said) for model, said in json.loads(done.stdout.splitlines()[-1]).items()}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Said]:
    answers = {f"someone/{name}": answer for name, (answer, _, _) in ODD.items()} | {"someone/good": file(INDEX)}
    with OddHub(answers) as hub:
        found = look(hub.url, tmp_path_factory.mktemp("cache"), *answers)
        assert {request.split("/")[2] for request in hub.asked if "/someone/" in request} == {*ODD, "good"}
    return found


def test_a_hub_that_behaves_is_read(said: dict[str, Said]) -> None:
    assert said["someone/good"].outcome == "wan"


@pytest.mark.parametrize("name", ODD)
def test_each_answer_is_an_error_that_says_what_to_do(name: str, said: dict[str, Said]) -> None:
    _, words, step = ODD[name]
    found = said[f"someone/{name}"]
    assert found.outcome == "InputError", found.words
    assert words in found.words and f"someone/{name}" in found.words + found.next_step
    assert step in found.next_step


def test_a_hub_that_is_down(tmp_path: Path) -> None:
    with OddHub({}) as hub:
        url = hub.url
    found = look(url, tmp_path, "someone/some-model")["someone/some-model"]
    assert found.outcome == "InputError" and "cannot be reached" in found.words and ONLINE in found.next_step
