"""Keys of servers: read only from the environment, and hidden from then on wherever something is written."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from rushes import known_keys
from rushes.errors import RecipeError


@dataclass(frozen=True)
class Secret:
    """A key that is never printed."""

    name: str
    """The environment variable that it came from; empty when there is none."""
    value: str = field(repr=False)
    """The key; empty when the server needs none."""


def secret_from(name: str | None, server: str) -> Secret:
    """The key in the environment variable `name`.

    Args:
        name: the variable; None for a server that needs no key.
        server: name of the server in the recipe, for the error.

    Raises:
        RecipeError: the variable is not set or empty.
    """
    if name is None:
        return Secret("", "")
    value = os.environ.get(name, "").strip()
    if not value:
        raise RecipeError(
            f"the key of the server {server!r} is not in the environment",
            expected=f"the environment variable {name} set to the key",
            next_step=f"export {name}=..., or --set runtime.servers.{server}.key_env=null for a server without keys",
        )
    known_keys.remember(name, value)
    return Secret(name, value)
