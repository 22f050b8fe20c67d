"""From what a recipe names to a language model that can be asked."""

from __future__ import annotations

from rushes.llm.chat import ChatModel
from rushes.llm.local import local_text_model
from rushes.llm.server import connect
from rushes.recipe.models import LocalModelSpec, ServerModelSpec
from rushes.recipe.runtime import RuntimeSpec


def chat_model(spec: ServerModelSpec | LocalModelSpec, runtime: RuntimeSpec) -> ChatModel:
    """The client of a server, or a model of this machine whose weights are loaded when it is first asked.

    Raises:
        RecipeError: no such server in the recipe, its key is not in the environment, or a package is missing.
    """
    return connect(spec, runtime) if isinstance(spec, ServerModelSpec) else local_text_model(spec, runtime)
