"""The judge in the loop: asked as the stage asks it, its gradient in two stages, its failures, and what it counts.

Legend: B batch, C latent channels, T latent frames, h rows, w columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from rushes.errors import RecipeError, TrainingError
from rushes.families.family import Family
from rushes.families.load import load_family
from rushes.judge.gradient import PixelRequest, gradient_problem
from rushes.judge.live import margin
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.judge import JudgeSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.train import TrainSpec
from rushes.roles import Failed
from rushes.train.batch import FlowBatch, LossTerms
from rushes.train.data import Step
from rushes.train.live_judge import MAX_EMPTY_IN_A_ROW, LiveJudge, rounded_pixels
from rushes.train.network import Network, make_network
from rushes.train.objective import TrainingLoss
from rushes.train.objectives import build_objective
from tests.support.judges import DARK, RED, SMOOTH, SmoothJudge, margin_of, smooth_order
from tests.support.tiny_wan import make_tiny_wan

B = 4
NONE = torch.empty(0)


@pytest.fixture(scope="module")
def wan(tmp_path_factory: pytest.TempPathFactory) -> Family:
    return load_family(BaseModelSpec(model=str(make_tiny_wan(tmp_path_factory.mktemp("wan"))), max_tokens=8))


def latents(num: int = B) -> Tensor:
    return torch.randn((num, 4, 2, 4, 4), generator=torch.Generator().manual_seed(0))


def hook(wan: Family, *texts: str, spec: JudgeSpec = SMOOTH) -> LiveJudge:
    return LiveJudge.of(smooth_order(B, texts or ("a red circle",), spec), wan, gradient=False)


def sure(wan: Family, z_0: Tensor) -> list[list[float]]:
    """The judge's margins for the expected answers, of the frames as they are stored."""
    frames = [torch.from_numpy(each).float() for each in wan.decode(z_0)]
    return [[float(margin_of(each, RED.text)), -float(margin_of(each, DARK.text))] for each in frames]


def sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


@pytest.mark.parametrize("how", ["mean", "product", "minimum"])
def test_scores_are_aggregated_as_those_of_stored_clips(how: str, wan: Family) -> None:
    spec = JudgeSpec.model_validate({"judge": SMOOTH.judge, "aggregate": how})
    found = hook(wan, spec=spec).value(latents(), torch.arange(B))
    whole = {"mean": np.mean, "product": np.prod, "minimum": np.min}[how]
    expected = [whole([sigmoid(each) for each in row]) for row in sure(wan, latents())]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)
    assert len(set(found.tolist())) == B


def test_the_logit_is_that_of_the_expected_answers(wan: Family) -> None:
    logit, g = hook(wan).gradient(latents(), torch.arange(B))
    np.testing.assert_allclose(logit.numpy(), [np.mean(row) for row in sure(wan, latents())], rtol=1e-4, atol=1e-5)
    assert not logit.requires_grad and not g.requires_grad and bool(g.flatten(1).any(dim=1).all())


def test_no_answer_is_nan_and_never_0(wan: Family) -> None:
    """A judge that raises, one that has no answer, and one that has: each clip's failure is its own."""
    live = hook(wan, "broken", "unseen", "a red circle", "a blue square")
    for found in (live.value(latents(), torch.arange(B)), live.gradient(latents(), torch.arange(B))[0]):
        assert found.isnan().tolist() == [True, True, False, False]
    g = live.gradient(latents(), torch.arange(B))[1]
    assert g.flatten(1).any(dim=1).tolist() == [False, False, True, True] and bool(g.isfinite().all())
    assert (live.asked.num_clips, live.asked.num_missing) == (12, 6)
    assert live.asked.seconds > 0


def test_rows_say_what_is_asked(wan: Family) -> None:
    live = hook(wan, "broken", "a red circle")
    assert live.value(latents(2), torch.tensor([3, 2])).isnan().tolist() == [False, True]


@pytest.mark.parametrize("text", ["broken", "unseen"])
def test_a_judge_that_answers_nothing_any_more_ends_training(text: str, wan: Family) -> None:
    live = hook(wan, text)
    for _ in range(MAX_EMPTY_IN_A_ROW - 1):
        assert bool(live.value(latents(1), torch.tensor([0])).isnan().all())
    with pytest.raises(TrainingError, match="answered nothing in 5 calls in a row") as told:
        live.gradient(latents(1), torch.tensor([0]))
    assert {"broken": "the judge broke", "unseen": "too dark"}[text] in str(told.value)


def test_single_failures_do_not_end_it(wan: Family) -> None:
    live = hook(wan, "broken", "a red circle")
    for _ in range(2 * MAX_EMPTY_IN_A_ROW):
        live.value(latents(2), torch.arange(2))
    assert live.asked.num_missing == 2 * MAX_EMPTY_IN_A_ROW


# ---------------------------------------------------------------------------------------------- gradients


def network_of(wan: Family) -> Network:
    """Moved away from its base."""
    found = make_network(wan, None, None, autocast=False)
    with torch.no_grad():
        for value in found.parameters().values():
            value += 0.02 * torch.randn(value.shape, generator=torch.Generator().manual_seed(value.numel()))
    return found


def step_of(wan: Family) -> Step:
    epsilon = torch.randn(latents().shape, generator=torch.Generator().manual_seed(1))
    text = wan.encode_text(["a red circle", "a blue square"] * 2)
    batch = FlowBatch(
        latents(), epsilon, torch.tensor([0.05, 0.3, 0.1, 0.2]), text, torch.ones(B), torch.zeros(B, dtype=torch.bool)
    )
    return Step(batch, {"score": torch.linspace(0.2, 0.8, B)}, rows_B=torch.arange(B))


def terms(wan: Family, network: Network, live: LiveJudge, **objective: object) -> LossTerms:
    spec = TrainSpec.model_validate({"objective": objective, "realism": {"kind": "none"}})
    loss = TrainingLoss(spec, build_objective(spec), network.reference, NONE, NONE, judge=live)
    return loss.terms(network.velocity, step_of(wan))


def gradients(loss: Tensor, network: Network) -> Tensor:
    found = torch.autograd.grad(loss, list(network.parameters().values()), allow_unused=True)
    return torch.cat([each.flatten() for each in found if each is not None])


def test_two_stages_have_the_gradient_of_one_graph(wan: Family) -> None:
    """Through transformer, denoising step, decoder, rounding and judge at once, with respect to every weight."""
    network, batch = network_of(wan), step_of(wan).batch
    split = terms(wan, network, hook(wan), kind="reward_gradient", clip=None).total()
    z_t = wan.path.noisy(batch.z_0_BCTHW, batch.epsilon_BCTHW, batch.sigma_B)
    clean = wan.path.clean(z_t, network.velocity(z_t, batch.sigma_B, batch.text), batch.sigma_B)
    frames = [rounded_pixels(wan.decoded(each[None]))[0] for each in clean]
    margins = [(margin_of(each, RED.text) - margin_of(each, DARK.text)) / 2 for each in frames]
    whole = gradients(-torch.stack(margins).mean(), network)
    assert float(whole.norm()) > 1e-4
    torch.testing.assert_close(gradients(split, network), whole, rtol=1e-3, atol=1e-6)


def test_the_norm_of_a_gradient_is_held(wan: Family) -> None:
    network = network_of(wan)
    free, held = (terms(wan, network, hook(wan), kind="reward_gradient", clip=clip) for clip in (None, 0.01))
    size = float(free.diagnostics["reward_gradient_size"])
    assert size > 0.01 and float(held.diagnostics["reward_clipped"]) == 1.0
    assert float(free.diagnostics["reward_clipped"]) == 0.0
    assert float(gradients(held.total(), network).norm()) < float(gradients(free.total(), network).norm())
    assert held.diagnostics["reward_logit"] == free.diagnostics["reward_logit"]


def test_at_the_start_the_base_denoises_as_the_tuned_model_does(wan: Family) -> None:
    network = make_network(wan, None, None, autocast=False)
    for steps in (1, 3):
        found = [
            float(terms(wan, network, hook(wan), kind="online", denoiser=each, num_ode_steps=steps).total().detach())
            for each in ("tuned", "base")
        ]
        assert found[0] == found[1]


def test_what_the_judge_says_has_no_gradient_in_online_weights(wan: Family) -> None:
    """The loss is linear in the squared errors: with scores held, its gradient is theirs, weighted."""
    network, batch = network_of(wan), step_of(wan).batch
    found = gradients(terms(wan, network, hook(wan), kind="online").total(), network)
    z_t = wan.path.noisy(batch.z_0_BCTHW, batch.epsilon_BCTHW, batch.sigma_B)
    v = network.velocity(z_t, batch.sigma_B, batch.text)
    r = hook(wan).value(wan.path.clean(z_t, v, batch.sigma_B).detach(), torch.arange(B))
    error = (v - (batch.epsilon_BCTHW - batch.z_0_BCTHW)).square().mean(dim=(1, 2, 3, 4))
    torch.testing.assert_close(found, gradients((r * error).mean(), network), rtol=1e-4, atol=1e-7)


# ---------------------------------------------------------------------------------------------- judges that cannot


class _Cut(SmoothJudge):
    """Its margins have lost their frames."""

    def margins(self, requests: Sequence[PixelRequest]) -> list[Tensor | Failed]:
        with torch.no_grad():
            return super().margins(requests)


class _Odd(SmoothJudge):
    """It answers one question of two."""

    def margins(self, requests: Sequence[PixelRequest]) -> list[Tensor | Failed]:
        return [torch.zeros(1, requires_grad=True) for _ in requests]


def request() -> PixelRequest:
    return PixelRequest(torch.rand(3, 4, 4, 3, requires_grad=True) * 255, 8.0, "a red circle", (RED, DARK))


def test_margins_without_a_graph_are_told() -> None:
    with pytest.raises(RecipeError, match="do not depend on the frames"):
        margin(_Cut(), request())


def test_margins_of_another_number_are_no_answer() -> None:
    assert isinstance(margin(_Odd(), request()), Failed)


def test_a_judge_without_margins_is_refused_where_they_are_needed(wan: Family) -> None:
    spec = JudgeSpec(judge=PluginSpec(use="tests.support.fakes:HashJudgeSpec"))
    with pytest.raises(RecipeError, match=r"gradient of judge.judge, and HashJudge gives none"):
        LiveJudge.of(smooth_order(B, spec=spec), wan, gradient=True)
    assert "gives no gradient" in str(gradient_problem(spec))
    assert gradient_problem(SMOOTH) is None
