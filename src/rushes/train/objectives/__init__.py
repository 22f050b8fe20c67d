"""The objectives: what a step learns from own clips and their scores, one small file for each kind.

The training loss (`rushes.train.objective`) calls them; they know velocities and scores, and no network. Each is a
formula of docs/objectives.md in the paper's symbols: v the tuned velocity, v_ref the frozen one, u the target, r the
score.
"""

from __future__ import annotations

from rushes.plugins import OBJECTIVE, build
from rushes.recipe.objectives import (
    ArtSpec,
    AwmSpec,
    CrdSpec,
    DpoSpec,
    FlowSpec,
    NftSpec,
    OnlineSpec,
    RewardGradientSpec,
    RvmSpec,
)
from rushes.recipe.train import TrainSpec
from rushes.roles import Objective, Runtime
from rushes.train.objectives.art import Art
from rushes.train.objectives.awm import Awm
from rushes.train.objectives.crd import Crd
from rushes.train.objectives.dpo import Dpo
from rushes.train.objectives.flow import Flow
from rushes.train.objectives.nft import Nft
from rushes.train.objectives.online import Online
from rushes.train.objectives.reward_gradient import RewardGradient
from rushes.train.objectives.rvm import Rvm


def build_objective(spec: TrainSpec) -> Objective:
    """The recipe's objective.

    Raises:
        RecipeError: a plug-in that cannot be loaded, or that is not an objective.
    """
    match spec.objective:
        case FlowSpec():
            return Flow()
        case NftSpec() as chosen:
            return Nft(chosen)
        case DpoSpec() as chosen:
            return Dpo(chosen)
        case CrdSpec() as chosen:
            return Crd(chosen)
        case RvmSpec() as chosen:
            return Rvm(chosen)
        case AwmSpec() as chosen:
            return Awm(chosen)
        case OnlineSpec() as chosen:
            return Online(chosen)
        case RewardGradientSpec() as chosen:
            return RewardGradient(chosen)
        case ArtSpec() as chosen:
            return Art(chosen)
        case chosen:
            built: Objective = build(chosen, OBJECTIVE, Runtime(), "train.objective")
            return built
