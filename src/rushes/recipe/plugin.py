"""How a recipe names a plug-in: `use: package.module:Class`, or a name that an installed package offers."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue, StringConstraints

from rushes.roles import Spec

Use = Annotated[str, StringConstraints(pattern=r"^[\w.]+:\w+$|^[\w-]+$")]
"""`package.module:Class` of a `Spec` with `build()`, or a name that a package offers: see `rushes.plugins`."""


class PluginSpec(Spec):
    """A role played by a package outside of the core. `kind: plugin` may be left out where `use` is given.

    It is resolved before it enters a work key: where the class lives is no part of what it computes.
    """

    spec_name: ClassVar[str] = "plugin"

    kind: Literal["plugin"] = "plugin"
    use: Use
    """`package.module:Class` of its Spec, or the name that an installed package offers for this role: `sandbox`."""
    options: dict[str, str | int | float | bool | dict[str, JsonValue]] = Field(default_factory=dict)
    """Fields of that Spec; a Spec inside it is a mapping."""
