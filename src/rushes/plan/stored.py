"""What the database counts of a run's records, so that a million of them need not be parsed."""

from __future__ import annotations

from collections.abc import Collection

from rushes.records import Clip, Prompt, SamplerSettings
from rushes.store.table import Table


def sampler_uses(clips: Table[Clip]) -> dict[SamplerSettings, tuple[int, int]]:
    """How many clips were generated with each sampler, and how many of them have frames."""
    found: dict[SamplerSettings, tuple[int, int]] = {}
    for text, (num, num_decoded) in clips.groups("sampler", present="video").items():
        if text is not None:
            sampler = SamplerSettings.model_validate_json(text)  # older records write the same one with fewer fields
            before = found.get(sampler, (0, 0))
            found[sampler] = (before[0] + num, before[1] + num_decoded)
    return found


def num_drafted(prompts: Table[Prompt], given: Collection[str]) -> int:
    """Prompts that a writer drafted: those of any other origin than these."""
    return sum(num for origin, (num, _) in prompts.groups("origin").items() if origin not in given)
