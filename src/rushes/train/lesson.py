"""What a training run learns from, and the key of its checkpoint; nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from rushes.families.experts import Expert
from rushes.plugins import OBJECTIVE, objective_needs, resolved
from rushes.recipe.train import TrainSpec
from rushes.records import BlobRef, Sample
from rushes.roles import ObjectiveNeeds
from rushes.store.identity import content_hash, left_out, work_key

NUM_BINS: Final = 10
"""Equal bins of the noise levels 0 to 1 for training errors."""
_UNREAD: Final = {
    *("checkpoint_every", "num_accumulation", "objective", "num_epochs", "anchor_to", "guidance"),
    *("merge", "experts"),
}
ORDER: Final = 2
"""Version of how rows are drawn (`rushes.train.draw`), part of every checkpoint's key."""
BIN_PREFIX: Final = "error_at_sigma_"
"""Prefix of the curves of the error in one bin of noise levels: `error_at_sigma_0.3` is from 0.3 up to 0.4."""
HELD_OUT_PREFIX: Final = "held_out_"
"""Prefix of the curves of the error on clips that are not trained on: `held_out_real`, `held_out_own`."""


@dataclass(frozen=True)
class Lesson:
    """One training run: what to learn from, and from which weights to start."""

    samples: tuple[Sample, ...]
    parent: str
    """Fingerprint or checkpoint key of the weights to start from."""
    start: BlobRef | None
    """Those weights; None for the base's own."""
    spec: TrainSpec
    reencode: bool
    """Train on latents of the decoded clip rather than on the sampler's."""
    asked: str | None = None
    """Hash of what decides the judge's answers in training, see `rushes.train.judging`; None where none is asked."""
    guidance: float | None = None
    """Guidance scale that the transformer is given; None if it takes none, or if clips are generated with the same."""
    until: int | None = None
    """Stop after this many steps, with the state kept, to go on later; None for all steps."""
    experts: tuple[Expert, ...] = ()
    """Which of two transformers by noise level are tuned, one after the other; empty for a model with one."""
    start_2: BlobRef | None = None
    """The weights of the second to start from, where both are tuned; None for the base's own."""
    shared: str | None = None
    """Key of the training whose scratch folder it shares, as one of two experts; None for a folder of its own."""

    @property
    def expert(self) -> Expert | None:
        """The one of two transformers that a lesson tunes; None for a model with one.

        Raises:
            ValueError: it tunes both: take its `parts`.
        """
        if len(self.experts) > 1:
            raise ValueError("a lesson of both experts is taught in parts")
        return self.experts[0] if self.experts else None

    @property
    def parts(self) -> tuple[Lesson, ...]:
        """The lessons of each expert, where both are tuned: they share the files with latents and texts."""
        if len(self.experts) < 2:
            return ()
        start: dict[Expert, BlobRef | None] = {"high": self.start, "low": self.start_2}
        shared = training_key(self)
        return tuple(
            replace(self, experts=(each,), start=start[each], start_2=None, shared=shared) for each in self.experts
        )

    @property
    def scratch(self) -> str:
        """Key of its scratch folder."""
        return self.shared or training_key(self)

    @property
    def last_step(self) -> int:
        """The step after which the checkpoint is made."""
        return self.spec.steps if self.until is None else self.until

    @property
    def is_held_to_base(self) -> bool:
        """True if anchor or norm guard compare with another model than the one that the training starts from."""
        return self.start is not None and self.spec.is_held_to_base

    @property
    def is_whole(self) -> bool:
        """True if it trains to the last step."""
        return self.last_step == self.spec.steps


def training_key(lesson: Lesson) -> str:
    """Work key of the whole training that a lesson is a part of: that of the checkpoint after its last step."""
    return lesson_key(replace(lesson, until=None))


def result_key(lesson: Lesson) -> str:
    """Work key of what a lesson results in: its checkpoint, or that merged with the weights that it starts from."""
    key, merge = lesson_key(lesson), lesson.spec.merge
    return key if merge == 1 else work_key("merged", {"merge": merge}, [lesson.parent, key])


def previews_in(home: Path, key: str) -> Path:
    """The folder of a training run's preview clips.

    Args:
        home: the run folder.
        key: of its checkpoint.
    """
    return home / "previews" / key[:12]


def curves_in(home: Path, recipe: str, key: str) -> Path:
    """The folder of a training run's TensorBoard files, which is what TensorBoard calls it.

    Args:
        home: the run folder.
        recipe: the recipe's name, as one of a folder.
        key: of the whole training, see `training_key`; it tells apart the trainings of one run.
    """
    return home / "tensorboard" / f"{recipe}-{key[:12]}"


def lesson_key(lesson: Lesson) -> str:
    """Work key of a lesson's checkpoint; the origin of the clips is in their own keys.

    How often states are saved, and the number of micro-batches, do not affect the result and are left out; merging
    comes after it and has a key of its own, see `result_key`. Of a sample
    it holds what the objective reads. A checkpoint on the way has the number of its step as index; the last one has
    none, whether training paused on the way or not.
    """
    needs = objective_needs(lesson.spec)
    unread, lora = _UNREAD | left_out(lesson.spec), lesson.spec.lora
    spec = {
        "order": ORDER,
        "train": {
            **lesson.spec.model_dump(mode="json", exclude=unread),
            **({} if lora is None else {"lora": lora.model_dump(mode="json", exclude=set(left_out(lora)))}),
            **({"anchor_to": "base"} if lesson.is_held_to_base else {}),
            "num_steps": lesson.spec.steps,
        },
        "objective": resolved(lesson.spec.objective, OBJECTIVE),
        "samples": content_hash([_as_read(sample, needs) for sample in lesson.samples]),
        "reencode": lesson.reencode,
        **({} if lesson.asked is None else {"asked": lesson.asked}),
        **({} if lesson.guidance is None else {"guidance": lesson.guidance}),
        **({"experts": list(lesson.experts)} if lesson.experts else {}),
    }
    return work_key("checkpoint", spec, [lesson.parent], 0 if lesson.is_whole else lesson.last_step)


def _as_read(sample: Sample, needs: ObjectiveNeeds) -> dict[str, Any]:
    """What decides training of a sample; preferences only where there are any, as earlier releases had none."""
    named = {"preferred_over"} if needs.unit == "pair" and sample.preferred_over else set[str]()
    return sample.model_dump(mode="json", include=_read(needs) | named)


def _read(needs: ObjectiveNeeds) -> set[str]:
    """The fields of a sample that decide what is trained on."""
    by_score: set[str] = {"score"} if needs.min_gap or needs.unit != "clip" else set()
    paired = {"partner"} if needs.unit == "pair" else set[str]()
    return {"clip_key", "prompt_key", "source", *needs.columns, *by_score, *paired}
