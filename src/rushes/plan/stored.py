"""What the database counts of a run's records, so that a million of them need not be parsed."""

from __future__ import annotations

from collections.abc import Collection

from rushes.records import Clip, Prompt, SamplerSettings
from rushes.store.table import Table


def sampler_uses(clips: Table[Clip]) -> dict[tuple[SamplerSettings, str | None], tuple[int, int]]:
    """How many clips were generated with each sampler by each model, and how many of them have frames.

    The model is None for the one that is tuned, else the name of another one, see `records.MadeBy`.
    """
    found: dict[tuple[SamplerSettings, str | None], tuple[int, int]] = {}
    for (text, model), (num, num_decoded) in clips.groups("sampler", "made_by.model", present="video").items():
        if text is not None:
            sampler = SamplerSettings.model_validate_json(text)  # older records write the same one with fewer fields
            before = found.get((sampler, model), (0, 0))
            found[sampler, model] = (before[0] + num, before[1] + num_decoded)
    return found


def num_drafted(prompts: Table[Prompt], given: Collection[str]) -> int:
    """Prompts that a writer drafted: those of any other origin than these."""
    return sum(num for (origin,), (num, _) in prompts.groups("origin").items() if origin not in given)
