"""Reward models as judges, each in a process of its own: values on named scales, or preferences between two takes."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, StringConstraints

from rushes.errors import RecipeError, Stopped
from rushes.execute.stop import is_stopping
from rushes.feedback import (
    GivenPreference,
    Gives,
    PreferenceJudge,
    PreferenceRequest,
    Scale,
    ScaleValue,
    ScoreJudge,
    ScoreRequest,
)
from rushes.findings import Finding, model_name
from rushes.judge.reward_server import RewardServer, reward_server
from rushes.llm.http import import_openai
from rushes.recipe.runtime import RuntimeSpec
from rushes.roles import Failed, Spec

Name = Annotated[str, StringConstraints(min_length=1)]


def _named(scales: object) -> object:
    """`{VQ: "standard deviations", MQ: {unit: ..., repeat_error: 0.1}}` as a list of scales."""
    if not isinstance(scales, Mapping):
        return scales
    return [
        {"name": name, **({"unit": each} if isinstance(each, str) else each if isinstance(each, Mapping) else {})}
        for name, each in scales.items()
    ]


class _ServedSpec(Spec):
    """A reward model behind a reward server."""

    server: Name
    """Which entry of `runtime.rewards`. If the server moves, keep this name and no work is lost."""
    model: Name
    """What the server's greeting calls its model, with the revision of the weights: another one is refused."""

    @property
    def shown_name(self) -> str:
        """See `rushes.plugins.name_of`: two reward models must not look alike in records."""
        return self.model

    def sees_with(self, dimension: str) -> frozenset[str]:
        """See `rushes.feedback.Sees`."""
        return frozenset({model_name(self.model)})

    def findings(self, runtime: RuntimeSpec) -> list[Finding]:
        """See `rushes.findings.Checkable`: whether there is such a server, and its program. Nothing is started."""
        return server_findings(self.server, runtime)


class ServedJudgeSpec(_ServedSpec):
    """A reward model that gives each clip values on named scales: `use: served`."""

    spec_name: ClassVar[str] = "judge.served"
    gives: ClassVar[Gives] = "scores"

    scales: Annotated[tuple[Scale, ...], BeforeValidator(_named), Field(min_length=1)]
    """Its scales with their units: `{VQ: standard deviations, TA: {unit: standard deviations, repeat_error: 0.02}}`."""

    def build(self, runtime: RuntimeSpec) -> ScoreJudge:
        """The judge; its server is started at the first clip.

        Raises:
            RecipeError: the recipe defines no such server.
        """
        names = [each.name for each in self.scales]
        return ServedJudge(RewardServer(self.server, reward_server(self.server, runtime), self.model, names))


class ServedPairsSpec(_ServedSpec):
    """A reward model that says which of two takes is the better one: `use: served-pairs`."""

    spec_name: ClassVar[str] = "judge.served_pairs"
    gives: ClassVar[Gives] = "preferences"

    has_position_bias: bool = True
    """Whether the order in which takes are shown may matter; then each pair is asked in both orders."""
    repeat_error: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """By how much a preference moves when the model is asked again, 0 to 1; 0 for a model that does not sample."""

    def build(self, runtime: RuntimeSpec) -> PreferenceJudge:
        """The judge; its server is started at the first pair.

        Raises:
            RecipeError: the recipe defines no such server.
        """
        return ServedPairs(RewardServer(self.server, reward_server(self.server, runtime), self.model, compares=True))


class ServedJudge:
    """A `ScoreJudge` over a reward server, one clip after the other."""

    def __init__(self, server: RewardServer) -> None:
        self._server = server

    def score(self, requests: Sequence[ScoreRequest]) -> Iterator[tuple[ScaleValue, ...] | Failed]:
        """See `rushes.feedback.ScoreJudge`; what was given before an error is kept.

        Raises:
            RewardServerError: the server cannot be used.
        """
        for request in requests:
            check_stop()
            yield self._server.scored(request)


class ServedPairs:
    """A `PreferenceJudge` over a reward server, one pair after the other."""

    def __init__(self, server: RewardServer) -> None:
        self._server = server

    def prefer(self, requests: Sequence[PreferenceRequest]) -> Iterator[GivenPreference | Failed]:
        """See `rushes.feedback.PreferenceJudge`; what was given before an error is kept.

        Raises:
            RewardServerError: the server cannot be used.
        """
        for request in requests:
            check_stop()
            yield self._server.preferred(request)


def check_stop() -> None:
    """Between two clips, since each may take a minute.

    Raises:
        Stopped: the user asked to stop; what was given before is kept.
    """
    if is_stopping():
        raise Stopped("stopped between two clips of a reward server; all values so far are kept")


def server_findings(name: str, runtime: RuntimeSpec) -> list[Finding]:
    """Why a reward server would not work on this machine, as far as that shows without starting it."""
    try:
        server = reward_server(name, runtime)
        if server.url is not None:
            import_openai()
    except RecipeError as error:
        return [Finding.of("server", error)]
    words = shlex.split(server.command or "")
    missing = [each for each in words[:1] if shutil.which(each) is None]
    # A script of the server is usually named by its path.
    missing += [each for each in words[1:2] if each.endswith(".py") and not Path(each).is_file()]
    return [_not_there(name, each) for each in missing]


def _not_there(name: str, word: str) -> Finding:
    return Finding(
        "server",
        f"the command of the reward server {name!r} names {word!r}, which is not there",
        expected="a program on the PATH or by its path; relative paths start in the folder where rushes is started",
        got=repr(word),
        next_step=f"correct runtime.rewards.{name}.command; docs/reward_servers.md shows how to set up each model",
    )
