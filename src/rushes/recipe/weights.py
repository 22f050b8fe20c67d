"""Recipe settings for how scores become weights."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from rushes.recipe.plugin import PluginSpec
from rushes.records.base import Share
from rushes.roles import Spec


class WeightsSpec(Spec):
    """How scores become weights; always scaled to mean 1 over the scored clips."""

    spec_name: ClassVar[str] = "weights"

    kind: Literal["uniform", "raw", "filter", "exponential", "rank", "centred", "contrast", "plugin"] = "raw"
    """Weighting function: `raw` is the paper's; `uniform` is plain fine-tuning; `contrast` draws the best and worst of
    a prompt's takes, for `train.objective: {kind: nft}`; `plugin` is the one named below."""
    plugin: PluginSpec | None = None
    """Your own weighting; set it if and only if `kind` is `plugin`."""
    threshold: Share = 0.8
    """filter: scores of at least this get weight 1, others 0."""
    temperature: Annotated[float, Field(gt=0)] = 0.15
    """exponential: w = exp((r - max r) / temperature); with judges that give scores or preferences, r is in standard
    deviations among the takes of a prompt, and 1 is a usual choice."""
    floor: Share = 0.0
    """centred: scores less than this above the mean of their prompt's takes get weight 0; in the unit of r."""
    min_effective: Share = 0.2
    """Warn when the effective sample size is below this share of the scored clips."""

    @model_validator(mode="after")
    def _plugin_fits_kind(self) -> Self:
        if (self.kind == "plugin") != (self.plugin is not None):
            raise ValueError(
                f"weights.kind must be 'plugin' exactly when weights.plugin is set, "
                f"got kind={self.kind!r}, plugin={self.plugin!r}"
            )
        return self
