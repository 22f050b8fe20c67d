"""From a recipe's spec to a language model ready for requests."""

from __future__ import annotations

from rushes.llm.chat import ChatModel
from rushes.llm.connect import connect
from rushes.llm.local import local_text_model
from rushes.recipe.models import LocalModelSpec, ServerModelSpec
from rushes.recipe.runtime import RuntimeSpec


def chat_model(spec: ServerModelSpec | LocalModelSpec, runtime: RuntimeSpec) -> ChatModel:
    """The client of a server, or a local model whose weights are loaded at the first request.

    Raises:
        RecipeError: the recipe has no such server, its key is not in the environment, or a package is missing.
    """
    return connect(spec, runtime) if isinstance(spec, ServerModelSpec) else local_text_model(spec, runtime)
