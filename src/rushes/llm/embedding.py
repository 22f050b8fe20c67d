"""Sentence embeddings with a BERT-like encoder: mean of the last hidden states, normalised to length 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

_BATCH: Final = 32
_MAX_TOKENS: Final = 256


@dataclass(frozen=True)
class SentenceEmbedder:
    """Texts -> unit vectors whose dot products are cosine similarities."""

    model: Any
    tokenizer: Any

    @classmethod
    def load(cls, folder: Path) -> SentenceEmbedder:
        """Load a folder with `config.json`, `model.safetensors` and a tokenizer; nothing is downloaded or executed."""
        from transformers import AutoModel, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        model = AutoModel.from_pretrained(str(folder), local_files_only=True, use_safetensors=True).eval()
        return cls(model, tokenizer)

    def embed(self, texts: Sequence[str]) -> Floats:
        """One unit vector per text, shape (texts, width), float32. A text's vector does not depend on the others.

        Padding would change the last digits, so only texts of the same length share a batch.
        """
        import numpy as np
        import torch

        ids = [self.tokenizer(text, truncation=True, max_length=_MAX_TOKENS)["input_ids"] for text in texts]
        vectors = np.zeros((len(texts), self.model.config.hidden_size), np.float32)
        by_length: dict[int, list[int]] = {}
        for position, tokens in enumerate(ids):
            by_length.setdefault(len(tokens), []).append(position)
        with torch.inference_mode():
            for positions in by_length.values():
                for start in range(0, len(positions), _BATCH):
                    rows = positions[start : start + _BATCH]
                    states_BLD = self.model(input_ids=torch.tensor([ids[i] for i in rows])).last_hidden_state
                    mean_BD = torch.nn.functional.normalize(states_BLD.float().mean(dim=1), dim=-1)
                    vectors[rows] = mean_BD.numpy()
        return vectors
