"""Which clips to generate: takes of prompts, their keys and seeds, and which of them share one output. Pure."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from rushes.recipe.base import ShapeSpec
from rushes.recipe.generate import StoredAs
from rushes.records import Clip, MadeBy, Prompt, SamplerSettings
from rushes.roles import Failed
from rushes.store.advance import Work
from rushes.store.identity import WorkKeys, canonical_json, seed_from_key


@dataclass(frozen=True)
class How:
    """Everything besides the prompt and the seed that decides a clip."""

    model: str
    """Name of the weights: see `rushes.families.models.Model`."""
    sampler: SamplerSettings
    """How to sample."""
    shape: ShapeSpec
    """Size of the clips."""
    stored_as: StoredAs = "lossless"
    """How frames are stored. The stored frames are judged, so lossy coding is part of the key."""
    decode: bool = True
    """False for latents only."""
    keep_latents: bool = True
    """False for latents that cannot be trained on, because the model has another autoencoder."""
    made_by: MadeBy | None = None
    """What records say about the model, where another one is tuned; `model` covers it in keys."""

    def key_part(self) -> dict[str, object]:
        """The part of this that enters work keys."""
        found: dict[str, object] = {"model": self.model, "sampler": self.sampler, "shape": self.shape}
        if self.stored_as != "lossless":
            found["stored_as"] = self.stored_as
        if not self.decode:
            found["decode"] = False
        if not self.keep_latents:
            found["keep_latents"] = False
        return found


@dataclass(frozen=True)
class Take:
    """One clip to generate."""

    prompt: Prompt
    index: int
    """Which take of the prompt: 0, 1, ..."""
    seed: int
    """From the prompt and the take alone, so that two models start from the same noise."""
    output: str
    """Identifies the model's output: takes with the same output are the same clip, which is generated once."""


def takes(prompts: Sequence[Prompt], num_takes: int, how: How) -> list[Work[Take]]:
    """The clips to generate: every prompt `num_takes` times.

    Prompts with the same `seed_name` share their clips; others have their own.
    """
    found, part = [], how.key_part()
    outputs, own = (WorkKeys(kind, canonical_json(part)) for kind in ("output", "clip"))
    for prompt in prompts:
        name = prompt.seed_name or prompt.key
        made = own if prompt.seed_name is None else WorkKeys("clip", canonical_json({**part, "seed_name": name}))
        for index in range(num_takes):
            take = Take(prompt, index, seed_from_key(name, "take", index), outputs.key([name], index))
            found.append(Work(made.key([prompt.key], index), take))
    return found


def once(
    work: Sequence[Work[Take]], known: Container[str], stored: Container[str]
) -> tuple[list[Work[Take]], list[Work[Take]]]:
    """Split takes into those to generate and those that share the output of one of these or of an existing clip.

    Args:
        work: from `takes`.
        known: outputs that already exist.
        stored: keys of clips that already exist: one of them represents its output, so that nothing is generated twice.
    """
    leaders: dict[str, str] = {}
    for piece in work:
        output = piece.payload.output
        if output not in leaders or (piece.key in stored and leaders[output] not in stored):
            leaders[output] = piece.key
    first = [each for each in work if each.payload.output not in known and leaders[each.payload.output] == each.key]
    keys = {each.key for each in first}
    return first, [each for each in work if each.key not in keys]


def copied(chunk: Sequence[Work[Take]], outputs: Mapping[str, Clip]) -> list[Clip | Failed]:
    """The records of takes whose output already exists: the same pixels, for another prompt."""
    made: list[Clip | Failed] = []
    for piece in chunk:
        clip, prompt = outputs.get(piece.payload.output), piece.payload.prompt
        if clip is None:
            made.append(Failed("NotThere", f"the clip that it shares with another dimension failed: {prompt.text!r}"))
        else:
            update = {"key": piece.key, "prompt_key": prompt.key, "dimension": prompt.dimension, "seconds": 0.0}
            made.append(clip.model_copy(update=update))
    return made
