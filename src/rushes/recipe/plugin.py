"""How a recipe names a plug-in: `use: package.module:Class`, or a name that an installed package offers."""

from __future__ import annotations

import json
from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue, StringConstraints, field_validator

from rushes.roles import Spec

Use = Annotated[str, StringConstraints(pattern=r"^[\w.]+:\w+$|^[\w-]+$")]
"""`package.module:Class` of a `Spec` with `build()`, or a name that a package registers: see `rushes.plugins`."""


class PluginSpec(Spec):
    """A plug-in: another package fills this role. `kind: plugin` may be left out if `use` is given.

    It is resolved before it enters a work key, since the location of the class does not affect what it computes.
    """

    spec_name: ClassVar[str] = "plugin"

    kind: Literal["plugin"] = "plugin"
    use: Use
    """`package.module:Class` of its Spec, or the name under which an installed package offers it: `sandbox`."""
    options: dict[str, str | int | float | bool | dict[str, JsonValue]] = Field(default_factory=dict)
    """Fields of that Spec; write a nested Spec as a mapping."""

    @field_validator("options")
    @classmethod
    def _finite(cls, options: dict[str, JsonValue]) -> dict[str, JsonValue]:
        try:
            json.dumps(options, allow_nan=False)
        except ValueError:
            raise ValueError("options hold a number that is not finite (.nan, .inf or one too large)") from None
        return options
