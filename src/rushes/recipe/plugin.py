"""How a recipe names a plug-in: `use: package.module:Class` and its options."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, StringConstraints

from rushes.roles import Runtime, Spec

ImportPath = Annotated[str, StringConstraints(pattern=r"^[\w.]+:\w+$")]
"""`package.module:Class` of a plug-in: a `Spec` subclass with `build()`."""


class PluginSpec(Spec):
    """A role of the user's own."""

    kind: Literal["plugin"] = "plugin"
    use: ImportPath
    """`package.module:Class` of its Spec."""
    options: dict[str, str | int | float | bool | dict[str, JsonValue]] = Field(default_factory=dict)
    """Fields of that Spec; a Spec inside it is a mapping."""

    def build(self, runtime: Runtime) -> Any:
        """What the named Spec builds; see `rushes.plugins.plugin` for the errors."""
        from rushes.plugins import plugin

        return plugin(self).build(runtime)
