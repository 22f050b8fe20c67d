"""One request to each model on a server says whether the run can use it: by its setting, and nothing is retried."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rushes.findings import Finding
from rushes.preflight.servers import asked_of_servers, check_servers
from rushes.recipe.load import load_recipe
from rushes.recipe.recipe import Recipe
from tests.support.odd_server import Behaviour, Handler, OddServer, page, refuses, says, slow, status

YES = says("yes", {"yes": 0.9, "no": 0.1})
JUDGE = "judge.judge={kind: vlm, model: {kind: server, model: eyes}, num_frames: 4}"
WRITER = "prompts.writer={kind: llm, model: {kind: server, model: pen}}"


def recipe(url: str, *overrides: str) -> Recipe:
    return load_recipe("tiny", [JUDGE, f"runtime.servers.main.url={url}", *overrides])


def asked(*behaviours: Behaviour, overrides: Sequence[str] = ()) -> tuple[list[Finding], OddServer]:
    with OddServer(*behaviours) as server:
        return list(check_servers(recipe(server.url, *overrides))), server


def listing(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let the server list these models."""
    body = json.dumps({"object": "list", "data": [{"id": name, "object": "model"} for name in names]}).encode()
    monkeypatch.setattr(Handler, "do_GET", lambda handler: handler.send(200, body), raising=False)


def test_a_server_that_gives_all_that_is_needed_has_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(YES)[0] == [], "a server without a list of models"
    listing(monkeypatch, "eyes", "pen")
    found, server = asked(YES, overrides=[WRITER])
    assert found == [] and len(server.bodies) == 2, "one request to each model"
    judged = next(body for body in server.bodies if body["model"] == "eyes")
    content = judged["messages"][-1]["content"]
    assert sum(part["type"] == "image_url" for part in content) == 4 and judged["top_logprobs"] == 20
    assert not list(Path().glob("llm")), "the reply is not kept"


@pytest.mark.parametrize("code", [401, 404])
def test_what_makes_a_server_unusable_is_an_error_and_is_not_tried_again(
    code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing(monkeypatch, "other-model")
    (finding,), server = asked(status(code))
    assert finding.is_certain and finding.setting == "runtime.servers.main" and len(server.bodies) == 1
    assert "other-model" in str(finding.expected)


def test_a_server_that_is_not_there_is_an_error() -> None:
    (finding,) = check_servers(recipe("http://127.0.0.1:9/v1"))
    assert finding.is_certain and "cannot be reached" in finding.problem
    (finding,) = asked(page())[0]
    assert "web page" in finding.problem


def test_too_many_images_are_told_with_the_setting_that_helps() -> None:
    said = "At most 1 image(s) may be provided in one prompt."
    (finding,) = asked(status(400, said))[0]
    assert finding.is_certain and finding.setting == "judge.judge.num_frames"
    assert said in str(finding.got) and "--set judge.judge.num_frames=1" in str(finding.next_step)


def test_missing_log_probabilities_are_a_warning() -> None:
    for behaviour in (says("yes"), refuses("logprobs", "logprobs is not supported", says("yes"))):
        (finding,) = asked(behaviour)[0]
        assert not finding.is_certain and "no log-probabilities" in finding.problem
    assert asked(says("yes"), overrides=[WRITER, "judge.judge={use: sandbox}"])[0] == [], "a writer needs none"


def test_what_may_pass_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rushes.preflight.probe.PROBE_TIMEOUT_S", 0.2)
    (finding,) = asked(slow(1.0, YES))[0]
    assert not finding.is_certain and "still loading" in str(finding.next_step)
    (finding,) = asked(status(500))[0]
    assert not finding.is_certain


def test_a_model_that_is_not_listed_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    listing(monkeypatch, "something-else")
    (finding,) = asked(YES)[0]
    assert not finding.is_certain and "something-else" in str(finding.expected)


def test_models_inside_plug_ins_are_asked_too() -> None:
    measurer = "measure.measurer={use: vbench2, options: {teller: {kind: vlm, model: {kind: server, model: t}}}}"
    names = {each.model.model for each in asked_of_servers(recipe("http://127.0.0.1:9/v1", measurer))}
    assert names == {"eyes", "t"}


TOLD = "measure.measurer.options.num_told"


def vbench(**options: object) -> list[str]:
    """A measurer whose teller is on the server, in a recipe that aims at what it tells."""
    model = {"kind": "server", "model": "t"}
    named = {"teller": {"kind": "vlm", "model": model}, "text_judge": {"kind": "llm", "model": {**model, "model": "w"}}}
    return [
        f"measure.measurer={json.dumps({'use': 'vbench2', 'options': named | options})}",
        "diagnose.catalogue=rushes_vbench:dimensions.yaml",
        "diagnose.dimensions=[]",
        "diagnose.focus=[Complex_Plot]",
    ]


def num_images(body: dict[str, Any]) -> int:
    content = body["messages"][-1]["content"]
    return sum(part["type"] == "image_url" for part in content) if isinstance(content, list) else 0


def takes(most: int, said: str = "At most {most} image(s) may be provided in one prompt.") -> Behaviour:
    refusal = status(400, said.format(most=most))
    return lambda handler, body: (refusal if num_images(body) > most else YES)(handler, body)


@pytest.mark.parametrize(
    ("options", "expected"), [({"num_told": 3}, 3), ({}, 17), ({"profile": "compat"}, 64), ({"least_told": 2}, 17)]
)
def test_a_teller_is_sent_as_many_images_as_in_the_run(options: dict[str, object], expected: int) -> None:
    found, server = asked(takes(64), overrides=[*vbench(**options), "judge.judge={use: sandbox}"])
    assert found == [] and {body["model"]: num_images(body) for body in server.bodies} == {"t": expected, "w": 0}
    assert all("logprobs" not in body for body in server.bodies)


def test_too_many_images_for_a_teller_are_told_with_its_setting() -> None:
    (finding,) = asked(takes(4), overrides=vbench())[0]
    assert finding.is_certain and finding.setting == TOLD and f"--set {TOLD}=4" in str(finding.next_step)
    (finding,) = asked(takes(4), overrides=vbench(least_told=4))[0]
    assert not finding.is_certain and finding.setting == TOLD, "fewer are shown in the run, which a report says"
    sees_nothing = takes(0, "image input is not supported"), takes(0)
    for behaviour in sees_nothing:
        finding = asked(behaviour, overrides=[*vbench(), "judge.judge={use: sandbox}"])[0][0]
        assert finding.is_certain and finding.setting == TOLD


def test_a_teller_that_is_never_asked_is_sent_no_images() -> None:
    unused = [*vbench(), "diagnose.focus=[Mechanics]", "measure.only_focus=true"]
    for overrides in (unused, vbench(text_judge="")):
        _, server = asked(takes(64), overrides=overrides)
        assert [num_images(body) for body in server.bodies if body["model"] == "t"] == [0]


def test_one_model_that_judges_and_tells_is_tried_as_both() -> None:
    both = vbench(judge={"kind": "vlm", "model": {"kind": "server", "model": "t"}, "num_frames": 2})
    found, server = asked(takes(4), overrides=both)
    assert [num_images(body) for body in server.bodies if body["model"] == "t"] == [17, 2]
    assert [each.setting for each in found] == [TOLD]
