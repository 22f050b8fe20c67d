"""What is found wrong with a recipe before a run, as values, and what a plug-in's Spec may find about itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from rushes.errors import RecipeError, UserError, in_lines


@dataclass(frozen=True)
class Finding:
    """What would keep a run from working, found before anything is spent.

    Example:
        Finding("train.optimizer", "8-bit AdamW needs a GPU", expected="runtime.device: cuda", got="'cpu'",
                next_step="--set train.optimizer=adamw")
    """

    setting: str
    """The setting of the recipe to change: "train.optimizer"."""
    problem: str
    """One sentence that says what is wrong."""
    expected: str | None = None
    """What would have been correct; None when the problem already states it."""
    got: str | None = None
    """What was found instead, as it is shown."""
    next_step: str | None = None
    """What to type or change next."""
    is_certain: bool = True
    """False for a warning: an estimate, or something that only makes the result worse. The run may begin."""

    @classmethod
    def of(cls, setting: str, error: UserError, *, is_certain: bool = True) -> Finding:
        """The same as an error that something else raised about a setting."""
        return cls(setting, error.problem, error.expected, error.got_repr, error.next_step, is_certain)

    def __str__(self) -> str:
        return in_lines(f"{self.setting}: {self.problem}", self.expected, self.got, self.next_step)


class Unready(RecipeError):
    """A recipe that cannot work here; nothing was spent. `findings` has every reason, at least one."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        blocks = [str(each) for each in findings]
        if len(blocks) > 1:
            numbered = [f"{number}. {block}".replace("\n", "\n  ") for number, block in enumerate(blocks, 1)]
            blocks = [f"{len(blocks)} settings of this recipe cannot work here; nothing was spent", *numbered]
        super().__init__("\n".join(blocks))
        self.findings = tuple(findings)
        """Every reason, in the order of the checks."""


@runtime_checkable
class Checkable(Protocol):
    """A plug-in's Spec that can tell before a run why it would not work here: a file that is not there, for example."""

    def findings(self, runtime: Any) -> Sequence[Finding]:
        """What is wrong, in seconds and with no weights loaded; the setting of each is the name of an option.

        Args:
            runtime: the recipe's `RuntimeSpec`.
        """
        ...


@runtime_checkable
class Covers(Protocol):
    """A measurer's Spec that can tell before a run what it will leave unmeasured."""

    def unmeasured(self, dimensions: Sequence[str]) -> Mapping[str, str]:
        """Those of the dimensions that it cannot measure as it is set up, each with the reason; nothing is loaded."""
        ...


def model_name(name: str) -> str:
    """A model's name without owner, folder and revision, in lower case: what `rushes.feedback.Sees` says of it.

    A folder, a Hub id and a server's name for the same weights usually end alike.
    """
    return name.partition("@")[0].rstrip("/").rpartition("/")[2].casefold()


@runtime_checkable
class OfSuite(Protocol):
    """A measurer's Spec that scores only clips of a suite's own prompts."""

    suite_setting: str
    """What to set `measure.suite` to, as it is typed."""


@dataclass(frozen=True)
class Shown:
    """Images that a plug-in sends to a chat model in one request, besides what a judge of questions is shown."""

    name: str
    """The option that names who is asked: "teller"; its own option `model` names the model."""
    model: Any
    """The model: a `ServerModelSpec` or a `LocalModelSpec`."""
    num_images: int
    """The most images of one request, at least 1."""
    max_side_px: int
    """Longest side of an image, pixels."""
    setting: str
    """The option that sets the number of images: "num_told"."""
    fewest: int
    """Smallest number that this option can be set to."""
    least: int | None
    """Fewest images that are sent to a server that allows fewer; None if no fewer are sent."""


@runtime_checkable
class ShowsImages(Protocol):
    """A plug-in's Spec with models that are sent images, so that the check of servers sends as many."""

    def images_shown(self, dimensions: Sequence[str], num_frames: int) -> Sequence[Shown]:
        """What each of the models is sent; nothing is loaded.

        Args:
            dimensions: names of the dimensions that clips may be about.
            num_frames: frames of a clip.
        """
        ...
