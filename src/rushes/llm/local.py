"""Chat with a local language model in transformers: any instruct model, a folder, or a GGUF file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rushes.errors import InputError
from rushes.execute.machine import check_device
from rushes.llm.cache import Remembering, ReplyCache
from rushes.llm.chat import TOO_LONG, ChatModel, ChatReply, ChatRequest, Keep, Message
from rushes.llm.decoder import Decoder
from rushes.llm.guided import Filler
from rushes.llm.pretrained import as_chat, defused, explained, precision, source, special_tokens
from rushes.recipe.models import LocalModelSpec
from rushes.roles import Failed
from rushes.store.identity import content_hash

if TYPE_CHECKING:
    import torch

    from rushes.recipe.runtime import RuntimeSpec

_ENDS: Final = ('"', "\n", "\u010a", "<0x0A>", "<0x22>")
"""Quote and line break as they appear in tokens: plain, in byte-level tokenizers, and in those with byte fallback."""


def local_text_model(spec: LocalModelSpec, runtime: RuntimeSpec) -> ChatModel:
    """The model, with replies cached in `runtime.cache_folder` if set; weights are loaded at the first request."""
    if runtime.cache_folder is None:
        return LocalTextModel(spec, runtime)
    cache, who = ReplyCache(Path(runtime.cache_folder) / "replies"), f"local {content_hash(spec)}"
    return Remembering(LocalTextModel(spec, runtime, cache.keep_for(who)), cache, who)


class LocalTextModel:
    """`ChatModel` over transformers, one request at a time: the same request always gets the same reply.

    A reply with a schema is filled in (`rushes.llm.guided`) instead of generated freely, so it always fits.
    """

    def __init__(self, spec: LocalModelSpec, runtime: RuntimeSpec, keep: Keep | None = None) -> None:
        """Store what to load; nothing is loaded.

        Args:
            spec: the model.
            runtime: where it runs.
            keep: stores each reply; None for nothing.
        """
        self.spec = spec
        self.runtime = runtime
        self._keep = keep

    @property
    def name(self) -> str:
        """The model as the recipe names it."""
        return self.spec.model

    def reply(self, requests: Sequence[ChatRequest]) -> list[ChatReply | Failed]:
        """One reply per request; `Failed` for a conversation that exceeds the model's context length.

        Raises:
            InputError, RecipeError: the model cannot be loaded.
        """
        return [self._kept(request) for request in requests]

    def _kept(self, request: ChatRequest) -> ChatReply | Failed:
        reply = self._one(request)
        if self._keep is not None and isinstance(reply, ChatReply):
            self._keep(request, reply)
        return reply

    def _one(self, request: ChatRequest) -> ChatReply | Failed:
        ids = self._ids(request)
        longest = getattr(self._model.config, "max_position_embeddings", None)
        if longest is not None and len(ids) + request.max_tokens > longest:
            said = f"{len(ids)} tokens and {request.max_tokens} to write; the model reads {longest}"
            return Failed(TOO_LONG, said, retry="useless")
        decoder = Decoder(self._model, ids, request.temperature, request.seed)
        if request.schema is not None:
            return Filler(decoder, self._tokenizer, request, self._quote_ids).fill()
        found: list[int] = []
        while len(found) < request.max_tokens:
            token = decoder.next()
            if token in self._end_ids:
                return ChatReply(str(self._tokenizer.decode(found)))
            found.append(token)
            decoder.read([token])
        return ChatReply(str(self._tokenizer.decode(found)), is_cut=True)

    def _ids(self, request: ChatRequest) -> list[int]:
        specials = special_tokens(self._tokenizer)
        messages = tuple(replace(each, text=defused(each.text, specials)) for each in request.messages)
        text = as_chat(messages, self._text_of)
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _text_of(self, messages: Sequence[Message]) -> str:
        turns = [{"role": each.role, "content": each.text} for each in messages]
        options = dict(self.spec.chat_template_kwargs or {})
        return str(self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, **options))

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        place, options = source(self.spec, self.runtime)
        tokenizer = explained(self.spec, "the tokenizer of", lambda: AutoTokenizer.from_pretrained(place, **options))
        if not tokenizer.chat_template:
            raise InputError(
                f"the model {self.spec.model} has no chat template",
                expected="an instruction-tuned model",
                next_step="choose its Instruct or Chat version",
            )
        return tokenizer

    @cached_property
    def _model(self) -> Any:
        from transformers import AutoModelForCausalLM

        check_device(self.runtime.device)
        place, options = source(self.spec, self.runtime)
        kind = precision(self.spec, self.runtime.device)
        model = explained(
            self.spec, "the model", lambda: AutoModelForCausalLM.from_pretrained(place, dtype=kind, **options)
        )
        return model.eval().requires_grad_(False).to(self.runtime.device)

    @cached_property
    def _end_ids(self) -> frozenset[int]:
        """Tokens that end a turn."""
        named = self._model.generation_config.eos_token_id
        given = named if isinstance(named, list) else [named]
        return frozenset(token for token in (*given, self._tokenizer.eos_token_id) if token is not None)

    @cached_property
    def _quote_ids(self) -> torch.Tensor:
        """Tokens that end a text in JSON: those that contain a quote or a line break, and special tokens."""
        import torch

        tokens = self._tokenizer.convert_ids_to_tokens(list(range(len(self._tokenizer))))
        special = {*self._tokenizer.all_special_ids, *self._end_ids, *self._tokenizer.added_tokens_decoder}
        ends = [i for i, token in enumerate(tokens) if i in special or any(mark in str(token) for mark in _ENDS)]
        return torch.tensor(ends)
