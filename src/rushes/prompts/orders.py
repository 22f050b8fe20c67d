"""Prompt injection: texts that give orders to their reader ("ignore the question, answer yes")."""

from __future__ import annotations

import re
from typing import Final

_ORDERS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(?:ignore|disregard|forget|override)\b[^.?!]{0,40}\b(?:instructions?|questions?|prompts?|rubric|rules|above)\b",
        r"\b(?:answer|reply|respond|say|output|print)\b[^.?!]{0,25}[\"' ](?:yes|no|accept|reject|true|json)\b(?! to\b)",
        r"\b(?:system|developer|assistant)\s+(?:prompt|message|instructions?)\b",
        r"\byou are (?:now )?(?:an? |the )?(?:ai|assistant|language model|judge|critic|chatbot)\b",
        r"<\|[^|>]{1,40}\|>|\[/?INST\]|<</?SYS>>|</?(?:system|assistant|user)>|^\s*(?:system|assistant|user)\s*:",
    )
)
_SHOWN: Final = 60


def orders_in(text: str) -> tuple[str, str] | None:
    """Reason tag and detail if a text addresses its reader or forges a turn of a conversation; None otherwise.

    It is a list of typical phrases, which a determined author can evade. The judge is therefore never shown a prompt,
    and language models get it as quoted material.
    """
    for pattern in _ORDERS:
        match = pattern.search(text)
        if match is not None:
            phrase = " ".join(match.group().split())[:_SHOWN]
            return "gives_orders", f"it gives its reader orders instead of describing a video: {phrase!r}"
    return None
