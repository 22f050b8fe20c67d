"""Every objective against an independent computation in float64, at its start, and in parts of a batch.

Legend: B batch, C latent channels, T latent frames, h rows, w columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from rushes.errors import TrainingError
from rushes.families.path import STRAIGHT
from rushes.plugins import objective_needs
from rushes.recipe.train import TrainSpec
from rushes.train.batch import LossTerms, OwnClips
from rushes.train.objectives import build_objective
from rushes.train.objectives.dpo import FIRST_BETA, next_beta
from rushes.train.objectives.online import next_mean

B, SHAPE = 8, (3, 2, 3, 4)
NUM = math.prod(SHAPE)
RNG = np.random.default_rng(2)
Z_0, EPSILON, V, V_REF = RNG.normal(size=(4, B, *SHAPE))
SIGMA, WEIGHT, SCORE, PREFERENCE = RNG.uniform(size=(4, B))
ADVANTAGE = RNG.normal(size=B)
U = EPSILON - Z_0
DIRECTION = RNG.normal(size=(B, *SHAPE))

KINDS: dict[str, dict[str, Any]] = {
    "flow": {"kind": "flow"},
    "nft": {"kind": "nft", "beta": 0.3, "strength": 0.7},
    "nft adaptive": {"kind": "nft", "beta": 0.3, "adaptive": True},
    "dpo": {"kind": "dpo", "beta": 3.0, "strength": 0.5},
    "dpo falling": {"kind": "dpo", "beta": 3.0, "falling": True},
    "crd": {"kind": "crd", "beta": 2.0, "num_takes": 4},
    "rvm": {"kind": "rvm", "clip": 0.8},
    "awm": {"kind": "awm", "ratio": 0.05},
    "awm plain": {"kind": "awm", "error": "plain", "ratio": 0.05, "clip": 0.8},
    "online": {"kind": "online", "strength": 0.7},
    "online by noise level": {"kind": "online", "normalise": "sigma_bin", "times_offline": True, "max_sigma": 0.9},
    "online by the base": {"kind": "online", "denoiser": "base", "num_ode_steps": 3, "max_sigma": 0.8},
    "reward_gradient": {"kind": "reward_gradient", "strength": 0.7, "clip": 1.5},
    "reward_gradient whole": {"kind": "reward_gradient", "clip": None, "at": "last_step", "last_sigma": 0.1},
    "art": {"kind": "art", "gain": 0.2, "strength": 0.6},
    "art clean": {"kind": "art", "gain": 0.2, "kappa": "sigma_squared"},
    "art velocity": {"kind": "art", "gain": 0.2, "kappa": "one", "window": 3},
}


LIKING = RNG.normal(size=(B, *SHAPE))
"""What the judge likes of each clip."""
LAST = {f"online_mean_{at}": 0.4 for at in (0.0, 0.2, 0.4, 0.6)} | {f"online_score_{at}": 0.5 for at in (0.0, 0.2, 0.4)}


class LikingJudge:
    """A judge of latents: surer, the more they point to what it likes; it cannot answer about some rows."""

    def __init__(self, silent: tuple[int, ...] = ()) -> None:
        self.silent = silent
        self.shown: list[torch.Tensor] = []

    def value(self, clean_BCTHW: torch.Tensor, rows_B: torch.Tensor) -> torch.Tensor:
        self.shown.append(clean_BCTHW)
        assert not clean_BCTHW.requires_grad
        return self._logit(clean_BCTHW, rows_B).sigmoid()

    def gradient(self, clean_BCTHW: torch.Tensor, rows_B: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        liking = torch.tensor(LIKING)[rows_B]
        silent = torch.tensor([row in self.silent for row in rows_B.tolist()])
        g = torch.where(silent.view(-1, 1, 1, 1, 1), 0.0, liking / 40 * (1 - torch.tanh(clean_BCTHW) ** 2))
        return self._logit(clean_BCTHW, rows_B), g

    def _logit(self, clean_BCTHW: torch.Tensor, rows_B: torch.Tensor) -> torch.Tensor:
        logit = (torch.tensor(LIKING)[rows_B] * torch.tanh(clean_BCTHW) / 40).sum(dim=(1, 2, 3, 4))
        silent = torch.tensor([row in self.silent for row in rows_B.tolist()])
        return torch.where(silent, torch.nan, logit)


def elsewhere(model: str, z_t: torch.Tensor, sigma_B: torch.Tensor) -> torch.Tensor:
    """What a network says at other noisy latents."""
    return (0.5 if model == "base" else 2.0) * z_t + sigma_B.view(-1, 1, 1, 1, 1)


def own_clips(v: torch.Tensor, v_ref: np.ndarray = V_REF, rows: slice = slice(None), **changes: Any) -> OwnClips:
    z_0, target, sigma, reference = (torch.tensor(x[rows]) for x in (Z_0, U, SIGMA, v_ref))
    columns = {"weight": WEIGHT, "score": SCORE, "preference": PREFERENCE, "advantage": ADVANTAGE}
    columns |= {"direction": DIRECTION, **changes}
    return OwnClips(
        z_0_BCTHW=z_0,
        z_t_BCTHW=STRAIGHT.noisy(z_0, torch.tensor(EPSILON[rows]), sigma),
        sigma_B=sigma,
        target_BCTHW=target,
        velocity_BCTHW=v,
        reference_BCTHW=reference,
        columns={name: torch.tensor(values[rows]) for name, values in columns.items()},
        path=STRAIGHT,
        last=LAST,
        rows_B=torch.arange(B)[rows],
        judge=LikingJudge(),
        predict=elsewhere,
    )


def terms_of(name: str, v: np.ndarray = V, **changes: Any) -> LossTerms:
    objective = build_objective(TrainSpec.model_validate({"objective": KINDS[name]}))
    found = objective.terms(own_clips(torch.tensor(v, requires_grad=True), **changes))
    assert set(found.terms) | set(found.diagnostics) <= set(objective.names)
    return found


def gradient(name: str, v: np.ndarray, v_ref: np.ndarray = V_REF, **changes: Any) -> np.ndarray:
    leaf = torch.tensor(v, requires_grad=True)
    objective = build_objective(TrainSpec.model_validate({"objective": KINDS[name]}))
    objective.terms(own_clips(leaf, v_ref, **changes)).total().backward()
    assert leaf.grad is not None
    return leaf.grad.numpy()


def mse(x: np.ndarray, target: np.ndarray = U) -> np.ndarray:
    return np.array([np.mean((a - b) ** 2) for a, b in zip(x, target, strict=True)])


def by_items(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, 1, 1, 1, 1)


# ---------------------------------------------------------------------------------------------- values


def nft(beta: float, strength: float) -> float:
    """By its identity: a signed pull and an anchor, beside the frozen model's own error."""
    d, a = V - V_REF, V_REF - U
    pull = 2 * beta * (2 * PREFERENCE - 1) * np.mean(d * a, axis=(1, 2, 3, 4))
    return float(strength / beta * np.mean(beta**2 * np.mean(d * d, axis=(1, 2, 3, 4)) + pull + mse(V_REF)))


def nft_adaptive(beta: float) -> float:
    """As the publication's code writes it: errors of the predicted clean latents, normalised."""
    total, z_t = 0.0, by_items(1 - SIGMA) * Z_0 + by_items(SIGMA) * EPSILON
    for sign, share in ((1, PREFERENCE), (-1, 1 - PREFERENCE)):
        clean = z_t - by_items(SIGMA) * ((1 - sign * beta) * V_REF + sign * beta * V)
        off = np.abs(clean - Z_0).mean(axis=(1, 2, 3, 4))
        total += float(np.mean(share * ((clean - Z_0) ** 2).mean(axis=(1, 2, 3, 4)) / off)) / beta
    return total


def dpo(beta: float, strength: float, *, falling: bool = False) -> float:
    m = mse(V) - mse(V_REF)
    found = []
    for i in range(0, B, 2):
        beta_i = beta * (1 - SIGMA[i]) ** 2 if falling else beta
        found.append(math.log1p(math.exp(beta_i / 2 * (m[i] - m[i + 1]))))
    return 2 * strength / beta * float(np.mean(found))


def crd(beta: float, k: int) -> float:
    rho, A = mse(V_REF) - mse(V), 2 * PREFERENCE - 1
    off = [
        beta * (rho[i] - rho[i - i % k : i - i % k + k].mean()) - (A[i] - A[i - i % k : i - i % k + k].mean())
        for i in range(B)
    ]
    return float(np.mean(np.square(off))) / (2 * beta)


def awm(likelihood: Callable[[float, float], float], ratio: float, clip: float) -> float:
    found = []
    for i in range(B):
        rho = math.exp(likelihood(mse(V)[i], SIGMA[i]) - likelihood(mse(V_REF)[i], SIGMA[i]))
        A = max(-clip, min(clip, ADVANTAGE[i]))
        found.append(max(-A * rho, -A * max(1 - ratio, min(1 + ratio, rho))))
    return float(np.mean(found))


def liked(clean: np.ndarray) -> np.ndarray:
    """How sure the judge is, of each clip."""
    return np.array([np.sum(a * np.tanh(z) / 40) for a, z in zip(LIKING, clean, strict=True)])


def one_step(v: np.ndarray) -> np.ndarray:
    return by_items(1 - SIGMA) * Z_0 + by_items(SIGMA) * EPSILON - by_items(SIGMA) * v


def three_steps() -> np.ndarray:
    """Down a straight line by thirds of the noise level, by the base's velocity."""
    z, v = by_items(1 - SIGMA) * Z_0 + by_items(SIGMA) * EPSILON, V_REF
    for at in (2 / 3, 1 / 3):
        z = z - by_items(SIGMA / 3) * v
        v = 0.5 * z + by_items(SIGMA * at)
    return np.asarray(z - by_items(SIGMA / 3) * v)


def online(clean: np.ndarray, max_sigma: float, strength: float = 1.0, *, by_bin: bool = False) -> float:
    found = 1 / (1 + np.exp(-liked(clean)))
    r = np.where(max_sigma >= SIGMA, found * (SCORE if by_bin else 1.0), SCORE)
    for i in range(B if by_bin else 0):
        at = f"{math.floor(SIGMA[i] * 10) / 10:.1f}"
        # The mean moves by a tenth of the way; 0.6 has no score of a step before, and other bins have nothing.
        r[i] = r[i] / (0.4 + 0.1 * (0.5 - 0.4)) if at in ("0.0", "0.2", "0.4") else 1.0
    return strength * float(np.mean(r * mse(V)))


def reward_gradient(clip: float, strength: float) -> float:
    clean, total = one_step(V), 0.0
    for i in range(B):
        g = LIKING[i] / 40 * (1 - np.tanh(clean[i]) ** 2) * NUM
        total -= float(np.mean(g * min(1.0, clip / math.sqrt(np.mean(g * g))) * clean[i])) / B
    return strength * total


def art(gain: float, kappa: np.ndarray) -> float:
    """By the predicted clean latents, which are to be those of the old model and the direction beside."""
    clean, clean_old = (-by_items(SIGMA) * x for x in (V, V_REF))
    off = mse(clean, clean_old + gain * DIRECTION) / SIGMA**2
    return float(np.mean(kappa * off)) / gain


EXPECTED: dict[str, Callable[[], float]] = {
    "flow": lambda: float(np.mean(WEIGHT * mse(V))),
    "nft": lambda: nft(0.3, 0.7),
    "nft adaptive": lambda: nft_adaptive(0.3),
    "dpo": lambda: dpo(3.0, 0.5),
    "dpo falling": lambda: dpo(3.0, 1.0, falling=True),
    "crd": lambda: crd(2.0, 4),
    "rvm": lambda: float(np.mean(np.clip(ADVANTAGE, -0.8, 0.8) * mse(V))),
    "awm": lambda: awm(lambda e, s: -s * ((e + 1e-10) ** 0.25 - 1e-10**0.25) / 0.25, 0.05, 1.0),
    "awm plain": lambda: awm(lambda e, s: -e, 0.05, 0.8),
    "online": lambda: online(one_step(V), 0.6, 0.7),
    "online by noise level": lambda: online(one_step(V), 0.9, by_bin=True),
    "online by the base": lambda: online(three_steps(), 0.8),
    "reward_gradient": lambda: reward_gradient(1.5, 0.7),
    "reward_gradient whole": lambda: reward_gradient(math.inf, 1.0),
    "art": lambda: 0.6 * art(0.2, SIGMA),
    "art clean": lambda: art(0.2, SIGMA**2),
    "art velocity": lambda: art(0.2, np.ones(B)),
}


@pytest.mark.parametrize("name", KINDS)
def test_its_value_is_the_one_computed_by_hand(name: str) -> None:
    assert float(terms_of(name).total().detach()) == pytest.approx(EXPECTED[name](), rel=1e-10)


# ---------------------------------------------------------------------------------------------- the first step


def flow_pull(signed: np.ndarray) -> np.ndarray:
    """The gradient of flow matching with signed weights, at the frozen model."""
    return 2 * by_items(signed) * (V_REF - U) / (NUM * B)


STARTS: dict[str, Callable[[], np.ndarray]] = {
    "flow": lambda: flow_pull(WEIGHT),
    "nft": lambda: 0.7 * flow_pull(2 * PREFERENCE - 1),
    "dpo": lambda: 0.5 * flow_pull(np.resize([1.0, -1.0], B)),
    "crd": lambda: flow_pull(_centred(2 * PREFERENCE - 1, 4)),
    "rvm": lambda: flow_pull(np.clip(ADVANTAGE, -0.8, 0.8)),
    "awm plain": lambda: flow_pull(np.clip(ADVANTAGE, -0.8, 0.8)),
    "art": lambda: 0.6 * 2 * DIRECTION / (NUM * B),
}
"""What `strength` promises: the first step pulls as flow matching does, towards a clip or away from it."""


def _centred(x: np.ndarray, k: int) -> np.ndarray:
    return (x.reshape(-1, k) - x.reshape(-1, k).mean(axis=1, keepdims=True)).ravel()


@pytest.mark.parametrize("name", STARTS)
def test_the_first_step_pulls_as_hard_as_flow_matching(name: str) -> None:
    np.testing.assert_allclose(gradient(name, V_REF), STARTS[name](), rtol=1e-9, atol=1e-15)


def test_a_pair_begins_at_log_2_and_pulls_its_takes_apart() -> None:
    found = terms_of("dpo", V_REF)
    assert float(found.terms["dpo"].detach()) == pytest.approx(math.log(2), rel=1e-12)
    assert float(found.diagnostics["dpo_right"]) == 0.5
    same = np.repeat(V_REF[::2] - U[::2], 2, axis=0) + U
    pull = gradient("dpo", same, same)
    np.testing.assert_allclose(pull[::2], -pull[1::2], rtol=1e-9)


def test_a_policy_ratio_is_1_at_the_first_step() -> None:
    for name in ("awm", "awm plain"):
        found = terms_of(name, V_REF, advantage=np.full(B, 0.5))
        assert float(found.terms["awm"].detach()) == -0.5
        assert float(found.diagnostics["awm_clipped"]) == 0.0


@pytest.mark.parametrize("name", ["crd", "rvm", "awm", "art"])
def test_equal_scores_teach_nothing(name: str) -> None:
    flat = {"preference": np.full(B, 0.7), "advantage": np.zeros(B), "direction": np.zeros((B, *SHAPE))}
    assert not gradient(name, V_REF, **flat).any()


@pytest.mark.parametrize("name", ["nft", "dpo", "crd", "rvm", "awm plain"])
def test_shuffled_scores_change_nothing_on_average(name: str) -> None:
    """Over all shifts of the scores within the takes of a prompt the pulls cancel: every clip has had every score."""
    size = 2 if name == "dpo" else 4
    total = np.zeros((B, *SHAPE))
    columns = {"preference": _even(PREFERENCE), "advantage": _centred(ADVANTAGE, 4) / 10}
    if name == "dpo":  # the order of rows is the score
        swapped = np.arange(B) ^ 1
        signs = gradient(name, V_REF) + _swapped_back(swapped)
        np.testing.assert_allclose(signs, 0, atol=1e-14)
        return
    for shift in range(size):
        rolled = {key: np.roll(x.reshape(-1, size), shift, axis=1).ravel() for key, x in columns.items()}
        total += gradient(name, V_REF, **rolled)
    np.testing.assert_allclose(total, 0, atol=1e-14)


def _even(preference: np.ndarray) -> np.ndarray:
    """Preferences whose mean over the takes of a prompt is 1/2."""
    return 0.5 + _centred(preference, 4) / 2


def _swapped_back(order: np.ndarray) -> np.ndarray:
    """The pull on each clip where each pair is the other way round."""
    leaf = torch.tensor(V_REF, requires_grad=True)
    objective = build_objective(TrainSpec.model_validate({"objective": KINDS["dpo"]}))
    own = own_clips(leaf)
    swapped = OwnClips(
        **{
            **vars(own),
            "target_BCTHW": own.target_BCTHW[order],
            "velocity_BCTHW": leaf[order],
            "reference_BCTHW": torch.tensor(V_REF)[order],
        }
    )
    objective.terms(swapped).total().backward()
    assert leaf.grad is not None
    return leaf.grad.numpy()


def test_the_optimum_of_nft_lies_two_r_minus_one_over_beta_residuals_away() -> None:
    best = V_REF - by_items((2 * PREFERENCE - 1) / 0.3) * (V_REF - U)
    np.testing.assert_allclose(gradient("nft", best), 0, atol=1e-14)


@pytest.mark.parametrize("name", ["art", "art clean", "art velocity"])
def test_the_optimum_of_art_has_clean_latents_one_gain_further_along_the_direction(name: str) -> None:
    best = V_REF - 0.2 * DIRECTION / by_items(SIGMA)
    np.testing.assert_allclose(gradient(name, best), 0, atol=1e-14)
    unit = DIRECTION / np.sqrt(np.mean(DIRECTION**2))
    found = terms_of(name, V_REF - 0.1 * unit / by_items(SIGMA), direction=unit).diagnostics["art_done"]
    assert float(found) == pytest.approx(0.5, rel=1e-12)


def test_an_implicit_reward_that_is_reached_pulls_no_more() -> None:
    """Errors that fell by just what was wanted: u is moved to the side of v_ref, further for better clips."""
    wanted = _centred(2 * PREFERENCE - 1, 4) / 2.0
    scale = np.sqrt(1 - wanted / mse(V_REF))
    np.testing.assert_allclose(gradient("crd", U + by_items(scale) * (V_REF - U)), 0, atol=1e-14)


# ---------------------------------------------------------------------------------------------- beta: auto


def test_beta_rises_until_pairs_count_as_learned_and_no_further() -> None:
    assert next_beta(None, 0.5, 0.2) == FIRST_BETA
    assert next_beta(10.0, 0.5, 0.2) > 10.0 > next_beta(10.0, 0.1, 0.2)
    beta, apart = FIRST_BETA, 1e-3  # twice a margin of beta / 2 x apart
    for _ in range(3000):
        beta = next_beta(beta, 1 / (1 + math.exp(beta / 2 * apart)), 0.2)
    assert 1 / (1 + math.exp(beta / 2 * apart)) == pytest.approx(0.2, abs=1e-3)
    assert next_beta(1e6, 0.5, 0.2) == 1e6 and next_beta(1.0, 0.0, 0.2) == 1.0


@pytest.mark.parametrize("last", [{}, {"dpo_beta": 40.0, "dpo_unsure": 0.4}])
def test_an_automatic_beta_comes_from_the_step_before_and_does_not_change_the_first_pull(
    last: Mapping[str, float],
) -> None:
    objective = build_objective(TrainSpec.model_validate({"objective": {"kind": "dpo"}}))
    leaf = torch.tensor(V_REF, requires_grad=True)
    found = objective.terms(OwnClips(**{**vars(own_clips(leaf)), "last": last}))
    expected = next_beta(40.0, 0.4, 0.2) if last else FIRST_BETA
    assert float(found.diagnostics["dpo_beta"]) == pytest.approx(expected)
    found.total().backward()
    assert leaf.grad is not None
    np.testing.assert_allclose(leaf.grad.numpy(), flow_pull(np.resize([1.0, -1.0], B)), rtol=1e-9)


# ---------------------------------------------------------------------------------------------- parts of a batch


@pytest.mark.parametrize("name", KINDS)
def test_parts_of_whole_units_have_the_gradient_and_the_curves_of_the_whole(name: str) -> None:
    spec = TrainSpec.model_validate({"objective": KINDS[name]})
    objective, size = build_objective(spec), objective_needs(spec).unit_size
    whole, curves = gradient(name, V), terms_of(name)
    for num in {1, 2, 4, 8} & {n for n in range(1, B + 1) if B // n % size == 0}:
        leaf, sums = torch.tensor(V, requires_grad=True), dict.fromkeys((*curves.terms, *curves.diagnostics), 0.0)
        for at in range(0, B, B // num):
            rows = slice(at, at + B // num)
            found = objective.terms(own_clips(leaf[rows], rows=rows))
            (found.total() / num).backward()
            for key, value in {**found.terms, **found.diagnostics}.items():
                share = found.num_items.get(key, B // num) / curves.num_items.get(key, B)
                sums[key] += float(value.detach()) * share
        assert leaf.grad is not None
        np.testing.assert_allclose(leaf.grad.numpy(), whole, rtol=1e-12, atol=1e-15)
        for key, value in {**curves.terms, **curves.diagnostics}.items():
            assert sums[key] == pytest.approx(float(value.detach()), rel=1e-12), key


@pytest.mark.parametrize("name", KINDS)
def test_what_it_says_it_needs_is_what_it_reads(name: str) -> None:
    """Other columns may be missing, and the frozen model is asked for only where it is compared with."""
    spec = TrainSpec.model_validate({"objective": KINDS[name]})
    needs, objective = objective_needs(spec), build_objective(spec)
    own = own_clips(torch.tensor(V))
    bare = {key: own.columns[key] for key in needs.columns}
    reference = own.reference_BCTHW if needs.reference else None
    found = objective.terms(OwnClips(**{**vars(own), "columns": bare, "reference_BCTHW": reference}))
    assert float(found.total()) == float(objective.terms(own).total())


# ---------------------------------------------------------------------------------------------- the judge in the loop


def with_judge(name: str, judge: LikingJudge, **changes: Any) -> tuple[LossTerms, np.ndarray]:
    objective = build_objective(TrainSpec.model_validate({"objective": KINDS[name]}))
    leaf = torch.tensor(V, requires_grad=True)
    found = objective.terms(OwnClips(**{**vars(own_clips(leaf)), "judge": judge, **changes}))
    found.total().backward()
    assert leaf.grad is not None
    return found, leaf.grad.numpy()


@pytest.mark.parametrize("name", ["online", "online by noise level", "reward_gradient"])
def test_a_clip_without_an_answer_leaves_the_term_and_the_others_count_as_before(name: str) -> None:
    low = [i for i in range(B) if SIGMA[i] <= 0.6]
    gone = low[0]
    whole, before = with_judge(name, LikingJudge())
    found, after = with_judge(name, LikingJudge(silent=(gone,)))
    assert not after[gone].any() and before[gone].any()
    others = [i for i in range(B) if i != gone]
    np.testing.assert_allclose(after[others], before[others], rtol=1e-12)
    term = name.split()[0]
    assert found.num_items[term] == B - 1
    missing = found.diagnostics["reward_missing" if term == "reward_gradient" else "online_missing"]
    assert float(missing) == pytest.approx(1 / B)
    scored = "reward_logit" if term == "reward_gradient" else "online_score"
    rows = others if term == "reward_gradient" else [i for i in low if i != gone]
    if name != "online by noise level":
        sure = liked(one_step(V))
        expected = np.mean(sure[rows] if term == "reward_gradient" else 1 / (1 + np.exp(-sure[rows])))
        assert float(found.diagnostics[scored]) == pytest.approx(expected)
    assert set(whole.terms) == set(found.terms)


@pytest.mark.parametrize("name", ["online", "reward_gradient"])
def test_where_nothing_is_answered_nothing_is_pulled(name: str) -> None:
    found, pull = with_judge(name, LikingJudge(silent=tuple(range(B))), columns={"score": torch.full((B,), torch.nan)})
    assert not pull.any() and float(found.total().detach()) == 0.0
    assert found.num_items[name] == 0


def test_only_clips_at_low_noise_are_shown_to_the_judge() -> None:
    judge = LikingJudge()
    with_judge("online", judge)
    (shown,) = judge.shown
    np.testing.assert_allclose(shown.numpy(), one_step(V)[SIGMA <= 0.6], rtol=1e-12)


def test_the_gradient_in_two_stages_is_that_of_one_graph() -> None:
    """-E[logit of the judge], differentiated through the judge, the denoising step and all."""
    leaf = torch.tensor(V, requires_grad=True)
    own = own_clips(leaf)
    clean = STRAIGHT.clean(own.z_t_BCTHW, leaf, own.sigma_B)
    (-(torch.tensor(LIKING) * torch.tanh(clean) / 40).sum(dim=(1, 2, 3, 4)).mean()).backward()
    assert leaf.grad is not None
    np.testing.assert_allclose(with_judge("reward_gradient whole", LikingJudge())[1], leaf.grad.numpy(), rtol=1e-10)


def test_a_step_against_the_loss_makes_the_judge_surer() -> None:
    _, pull = with_judge("reward_gradient", LikingJudge())
    assert np.all(liked(one_step(V - 0.1 * pull * NUM * B)) > liked(one_step(V)))


@pytest.mark.parametrize("name", ["online", "online by noise level"])
def test_between_the_steps_that_ask_what_the_judge_said_before_counts(name: str) -> None:
    """Where it said nothing of a clip at that noise the stored score counts, or 1 where there are running means."""
    judge = LikingJudge()
    most = 0.6 if name == "online" else 0.9
    low = torch.tensor(SIGMA <= most)
    known = torch.tensor(SCORE) / 2
    (unknown,) = torch.nonzero(low).flatten()[-1:].tolist()
    known[unknown] = torch.nan
    own = own_clips(torch.tensor(V))
    columns = {**own.columns, "judged": known}
    found, pull = with_judge(name, judge, columns=columns, asks=False)
    assert not judge.shown and float(found.diagnostics["online_asked"]) == 0.0
    assert float(found.diagnostics["online_reused"]) == pytest.approx((int(low.sum()) - 1) / B)
    reused = low & ~known.isnan()
    r = torch.where(reused, known, torch.tensor(SCORE))
    strength = 0.7
    if name != "online":
        r = torch.where(reused, known * torch.tensor(SCORE), r)
        bins = [f"{math.floor(10 * sigma) / 10:.1f}" for sigma in SIGMA]
        means = [next_mean(LAST.get(f"online_mean_{at}"), LAST.get(f"online_score_{at}")) for at in bins]
        r = torch.tensor([1.0 if m is None else float(x) / m for m, x in zip(means, r, strict=True)])
        r[unknown], strength = 1.0, 1.0
        alone = f"online_score_{bins[unknown]}"
        assert (alone in found.diagnostics) == (bins.count(bins[unknown]) > 1), "a stored score is none of its means"
    np.testing.assert_allclose(pull, strength * by_items(r.numpy()) * 2 * (V - U) / (NUM * B), rtol=1e-6)


def test_equal_scores_weigh_all_clips_alike_once_their_means_are_known() -> None:
    """Every bin has the mean that its clips have, so what remains is flow matching."""
    objective = build_objective(
        TrainSpec.model_validate({"objective": {**KINDS["online by noise level"], "max_sigma": 0.01}})
    )
    means = {f"online_{what}_{at / 10:.1f}": 0.7 for what in ("mean", "score") for at in range(10)}
    leaf = torch.tensor(V, requires_grad=True)
    own = own_clips(leaf, score=np.full(B, 0.7))
    objective.terms(OwnClips(**{**vars(own), "last": means})).total().backward()
    assert leaf.grad is not None
    np.testing.assert_allclose(leaf.grad.numpy(), 2 * (V - U) / (NUM * B), rtol=1e-9)


def test_a_running_mean_takes_in_each_step_once() -> None:
    assert next_mean(None, None) is None
    assert next_mean(0.4, 0.5) == pytest.approx(0.41)
    objective = build_objective(TrainSpec.model_validate({"objective": KINDS["online by noise level"]}))
    last: dict[str, float] = {}
    scores = np.full(B, 0.5)
    for step in range(4):  # as the loop does: a curve keeps its last value where a step adds none
        own = OwnClips(**{**vars(own_clips(torch.tensor(V), score=scores)), "last": dict(last), "judge": LikingJudge()})
        found = objective.terms(own)
        last |= {key: float(value) for key, value in found.diagnostics.items()}
        means = {key: value for key, value in last.items() if key.startswith("online_mean")}
        scored = {key: value for key, value in last.items() if key.startswith("online_score_")}
        assert len(means) == len(scored) == len({math.floor(s * 10) for s in SIGMA})
        if step == 0:
            assert means == pytest.approx({key.replace("score", "mean"): value for key, value in scored.items()})


def test_the_last_step_needs_its_noise_level() -> None:
    spec = TrainSpec.model_validate({"objective": {"kind": "reward_gradient", "at": "last_step"}})
    with pytest.raises(TrainingError, match="noise level of the sampler's last step"):
        build_objective(spec)
