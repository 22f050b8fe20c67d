"""What one request shows of a server before a run."""

from __future__ import annotations

from rushes.llm.probe import Probed, probe
from rushes.recipe.models import ServerModelSpec
from rushes.recipe.runtime import RuntimeSpec, ServerRuntime
from tests.support.odd_server import Behaviour, OddServer, says, status


def probed(behaviour: Behaviour, num_images: int = 0) -> tuple[Probed, OddServer]:
    with OddServer(behaviour) as server:
        runtime = RuntimeSpec(servers={"main": ServerRuntime(url=server.url)})
        return probe(ServerModelSpec(model="m"), runtime, num_images), server


def test_a_server_as_a_judge_needs_it() -> None:
    found, server = probed(says("Yes", {"Yes": 0.8, "No": 0.1}), 3)
    assert (found.problem, found.gives_logprobs, found.most_images) == (None, True, None)
    assert len(server.bodies) == 1 and len(server.bodies[0]["messages"][0]["content"]) == 4


def test_no_log_probabilities() -> None:
    assert probed(says("Yes"))[0].gives_logprobs is False


def test_fewer_images_than_a_judge_shows() -> None:
    found, _ = probed(status(400, "At most 2 image(s) may be provided in one request."), 8)
    assert found.most_images == 2 and "At most 2 image(s)" in str(found.problem)


def test_why_a_server_cannot_be_used() -> None:
    found, server = probed(status(401, "who are you?"))
    assert found.gives_logprobs is None and "needs a key" in str(found.problem) and "who are you?" in str(found.problem)
    runtime = RuntimeSpec(servers={"main": ServerRuntime(url=server.url, timeout_s=5)})
    assert "cannot be reached" in str(probe(ServerModelSpec(model="m"), runtime).problem)
