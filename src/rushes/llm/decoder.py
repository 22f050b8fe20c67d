"""Token-by-token decoding with a causal language model, so that literal text can be inserted into its output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import torch

_TOP_P: Final = 0.95


class Decoder:
    """Feeds tokens and samples the next ones; caches the states of earlier tokens."""

    def __init__(self, model: Any, ids: Sequence[int], temperature: float, seed: int) -> None:
        """Read the conversation so far.

        Args:
            model: a causal language model of transformers, in evaluation mode.
            ids: its tokens, at least one.
            temperature: 0 takes the most probable token each time.
            seed: of the draws; 0 <= seed < 2**63.
        """
        import torch
        from transformers import DynamicCache

        self._model = model
        self._temperature = temperature
        self._draw = torch.Generator().manual_seed(seed)
        self._cache = DynamicCache()
        self._logits_V: torch.Tensor
        self.num_read = 0
        """Tokens read so far."""
        self.read(ids)

    def read(self, ids: Sequence[int]) -> torch.Tensor:
        """Read further tokens.

        Returns:
            Their log-probabilities in context, shape (tokens,), float32.
        """
        import torch

        device = next(self._model.parameters()).device
        with torch.inference_mode():
            out = self._model(
                input_ids=torch.tensor([list(ids)], device=device), past_key_values=self._cache, use_cache=True
            )
        logits_TV = out.logits[0].float().cpu()
        before_TV = logits_TV[:-1] if self.num_read == 0 else torch.cat([self._logits_V[None], logits_TV[:-1]])
        self.num_read += len(ids)
        self._logits_V = logits_TV[-1]
        new = torch.tensor(list(ids[-len(before_TV) :]) if len(before_TV) else [], dtype=torch.long)
        return before_TV.log_softmax(dim=-1).gather(1, new[:, None])[:, 0]

    def logprob(self, ids: Sequence[int]) -> float:
        """Log-probability that the conversation continues with these tokens; the state does not change."""
        at, logits_V = self.num_read, self._logits_V
        total = float(self.read(ids).sum())
        self._cache.crop(at - self.num_read)
        self.num_read, self._logits_V = at, logits_V
        return total

    def next(self, banned: torch.Tensor | None = None) -> int:
        """Sample the next token, without reading it.

        Args:
            banned: token ids that must not be sampled.
        """
        import torch

        logits_V = self._logits_V.clone()
        if banned is not None:
            logits_V[banned] = -torch.inf
        if self._temperature == 0:
            return int(logits_V.argmax())
        p_V, order_V = (logits_V / self._temperature).softmax(dim=-1).sort(descending=True, stable=True)
        # The smallest set of tokens with 95 % of the probability: the long tail makes small models incoherent.
        p_V[p_V.cumsum(dim=-1) - p_V > _TOP_P] = 0.0
        return int(order_V[torch.multinomial(p_V, 1, generator=self._draw)])
