"""Loading a transformers model: its code runs only if the user allows it, and errors say what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from rushes.errors import InputError, RecipeError, UserError
from rushes.llm.chat import Message, without_system
from rushes.llm.packaged import SMOLLM2, smollm2_file
from rushes.recipe.models import LocalModelSpec

if TYPE_CHECKING:
    import torch

    from rushes.recipe.runtime import RuntimeSpec

Loaded = TypeVar("Loaded")
_INSTALL: Final = re.compile(r"pip install [`'\"]?([A-Za-z][\w.-]*)")
_EXTRAS: Final = {"num2words": "'rushes[smolvlm]'"}
"""Extras of this package that install a processor's requirement, by the name in the processor's error."""


def source(spec: LocalModelSpec, runtime: RuntimeSpec) -> tuple[str, dict[str, Any]]:
    """The arguments of `from_pretrained`: a folder or Hub id, and keyword arguments, without the number format.

    Raises:
        InputError: the path does not exist, or the packaged model is not installed.
    """
    options: dict[str, Any] = {"trust_remote_code": runtime.allow_remote_code, "revision": spec.revision}
    path = smollm2_file() if spec.model == SMOLLM2 else Path(spec.model).expanduser()
    if path.suffix == ".gguf":
        if not path.is_file():
            raise _missing(spec.model)
        return str(path.parent), options | {"gguf_file": path.name}
    if path.is_dir():
        return str(path), options
    if path.is_absolute() or spec.model.startswith((".", "~")):
        raise _missing(spec.model)
    return spec.model, options


def precision(spec: LocalModelSpec, device: str) -> torch.dtype:
    """The number format of the weights: float32 on a CPU, where all others are slow."""
    import torch

    kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    return torch.float32 if device == "cpu" else kinds[spec.precision]


def explained(spec: LocalModelSpec, what: str, load: Callable[[], Loaded]) -> Loaded:
    """Call `load()` and turn exceptions of transformers into an error that says what to do.

    Args:
        spec: the model.
        what: what is loaded, for the message: "the tokenizer of".
        load: loads it.

    Raises:
        InputError: no such model, no network, files missing or damaged.
        RecipeError: the model needs its own code to run, or this version of transformers does not support it.
    """
    try:
        return load()
    except UserError:
        raise
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        said = " ".join(str(error).split())[:300]
        low = said.lower()
        if "trust_remote_code" in low:
            raise RecipeError(
                f"{what} {spec.model} needs to run Python code that comes with it",
                expected="a model that transformers supports without extra code",
                got=said,
                next_step="choose another model; or read its code, and --set runtime.allow_remote_code=true",
            ) from error
        wanted = _INSTALL.search(said)
        if wanted is not None and isinstance(error, ImportError):
            step = f"pip install -c constraints.txt {_EXTRAS.get(wanted[1], wanted[1])}"
        elif "connection" in low or "offline" in low or "couldn't connect" in low:
            step = "download it on a machine with a network (hf download), and name its folder in the recipe"
        else:
            step = "check the name, the revision and that you have access; or name a folder that contains it"
        raise InputError(f"{what} {spec.model} cannot be loaded", got=said, next_step=step) from error


def _missing(model: str) -> InputError:
    return InputError(
        "the model does not exist",
        expected="a folder or a .gguf file that exists, or a Hub id",
        got=model,
        next_step="correct the path in the recipe",
    )


def defused(text: str, specials: tuple[str, ...]) -> str:
    """`text` with every special token of a tokenizer broken by a space, so that user text cannot end a turn."""
    for token in specials:
        if len(token) > 1 and token in text:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def as_chat(messages: Sequence[Message], render: Callable[[Sequence[Message]], str]) -> str:
    """A conversation in a model's chat template. A template that has no system role refuses it or leaves it out; its
    text then stands in the user's turn.

    Args:
        messages: the turns, at least one.
        render: applies the template; it may raise what the template raises.

    Raises:
        InputError: the template refuses the conversation without a system role too.
    """
    from jinja2 import TemplateError

    own = [each.text.strip() for each in messages if each.role == "system"]
    with suppress(TemplateError):
        text = render(messages)
        if all(each in text for each in own):
            return text
    try:
        return render(without_system(messages))
    except TemplateError as error:
        raise InputError(
            "the model's chat template refuses turns of a user and a model",
            expected="an instruction-tuned model",
            got=str(error),
            next_step="choose its Instruct or Chat version",
        ) from error


def special_tokens(tokenizer: Any) -> tuple[str, ...]:
    """Every special token of a tokenizer, longest first."""
    added = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    found = {*map(str, tokenizer.all_special_tokens), *added}
    return tuple(sorted(found, key=lambda token: (-len(token), token)))
