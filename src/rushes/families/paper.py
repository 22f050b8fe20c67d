"""What decides the memory of a transformer's passes: its class and config. Nothing heavy is imported here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

PaperFamily = Literal["wan", "cogvideox", "hunyuan", "hunyuan15", "ltx", "ltx2", "sana_video"]
_FAMILIES: Final[Mapping[str, PaperFamily]] = {
    "WanTransformer3DModel": "wan",
    "CogVideoXTransformer3DModel": "cogvideox",
    "HunyuanVideoTransformer3DModel": "hunyuan",
    "HunyuanVideo15Transformer3DModel": "hunyuan15",
    "LTXVideoTransformer3DModel": "ltx",
    "LTX2VideoTransformer3DModel": "ltx2",
    "SanaVideoTransformer3DModel": "sana_video",
}
"""By the class of the transformer."""


@dataclass(frozen=True)
class Paper:
    """A transformer before it is built, see `on_paper`."""

    family: PaperFamily
    """As in `base.family`."""
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Settings of its class; those left out have the class's defaults."""
    expand_timesteps: bool = False
    """Whether the pipeline gives it a timestep for every patch (Wan2.2 TI2V)."""

    def with_blocks(self, depths: Mapping[str, int]) -> Paper:
        """The same with other numbers of blocks."""
        return Paper(self.family, {**self.config, **depths}, self.expand_timesteps)


def paper_of(class_name: str, config: Mapping[str, Any], *, expand_timesteps: bool = False) -> Paper | None:
    """The transformer of a class with a config; None if its passes cannot be counted."""
    family = _FAMILIES.get(class_name)
    settings = {name: value for name, value in config.items() if not name.startswith("_")}
    return None if family is None else Paper(family, settings, expand_timesteps)


def class_name_of(paper: Paper) -> str:
    """The name of the transformer's class in diffusers."""
    return next(name for name, family in _FAMILIES.items() if family == paper.family)


def read_paper(folder: Path) -> Paper | None:
    """The transformer of a diffusers folder.

    Raises:
        OSError, ValueError: its files cannot be read.
    """
    config = json.loads((folder / "transformer" / "config.json").read_text(encoding="utf-8"))
    file = folder / "model_index.json"
    index = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return paper_of(str(config.get("_class_name")), config, expand_timesteps=bool(index.get("expand_timesteps")))
