"""Training: resumed equals straight, bit for bit; accumulation and LoRA; what happens when numbers break."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from rushes.errors import Stopped, TrainingError
from rushes.families.family import Family
from rushes.families.load import load_family
from rushes.plugins import objective_needs
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.objectives import AwmSpec, CrdSpec, DpoSpec, NftSpec, OnlineSpec, RewardGradientSpec, RvmSpec
from rushes.recipe.runtime import TrainRuntime
from rushes.recipe.train import LoraSpec, RealismSpec, TrainSpec
from rushes.train.batch import LossTerms
from rushes.train.data import Step, TrainingSet, step_batch
from rushes.train.hooks import Hooks
from rushes.train.job import Job
from rushes.train.live_judge import LiveJudge
from rushes.train.loop import check_untouched, learning_rate, optimise
from rushes.train.network import make_network, merged_weights
from rushes.train.objective import TrainingLoss, Velocity
from rushes.train.objectives import build_objective
from rushes.train.realism import weighted_moments
from rushes.train.setup import Setup, compile_blocks, prepare
from rushes.train.state import FILE_NAME, NORM, RATE, Progress, Trained
from rushes.train.watch import HeldOut
from tests.support.judges import smooth_order
from tests.support.tiny_wan import make_tiny_wan
from tests.support.training import columns_of_takes

SPEC = TrainSpec(num_steps=6, batch_size=4, learning_rate=1e-3, warmup_steps=2, checkpoint_every=2, precision="float32")


@pytest.fixture(scope="module")
def wan(tmp_path_factory: pytest.TempPathFactory) -> Family:
    return load_family(BaseModelSpec(model=str(make_tiny_wan(tmp_path_factory.mktemp("wan"))), max_tokens=8))


@pytest.fixture(scope="module")
def data(wan: Family) -> TrainingSet:
    generator = torch.Generator().manual_seed(0)
    return TrainingSet(
        z_0_NCThw=torch.randn((10, 4, 2, 4, 4), generator=generator),
        text=wan.encode_text([f"a red circle moves {d}" for d in ("left", "right", "up", "down", "up")] * 2),
        empty=wan.encode_text([""]),
        weight_N=torch.tensor([0.0, 1.0, 2.0, 3.0, 0.5, 0.5, 1, 1, 1, 1]),
        preference_N=torch.linspace(0, 1, 10),
        is_real_N=torch.tensor([False] * 6 + [True] * 4),
        **columns_of_takes(),
    )


def _train(
    wan: Family, data: TrainingSet, spec: TrainSpec, scratch: Path, stop_at: int | None = None, *, watch: bool = True
) -> Trained:
    network = make_network(wan, spec.lora, None, autocast=False)
    mean, std = weighted_moments(data.z_0_NCThw, torch.ones(len(data.z_0_NCThw)))
    judge = None
    if (wanted := objective_needs(spec).judge) != "none":
        judge = LiveJudge.of(smooth_order(10), wan, gradient=wanted == "gradient")
    objective = TrainingLoss(spec, build_objective(spec), network.reference, mean, std, judge=judge)
    held_out = (HeldOut("own", data.z_0_NCThw[:5], data.text[:5]),) if watch else ()
    steps: list[int] = []
    hooks = Hooks(
        on_step=lambda progress: steps.append(progress.step),
        should_stop=lambda: stop_at is not None and len(steps) == stop_at,
    )
    return optimise(Job(network, data, objective, spec, seed=3, held_out=held_out), scratch, hooks)


VARIANTS = {
    "full": SPEC,
    "lora": SPEC.model_copy(update={"lora": LoraSpec(rank=2, alpha=2)}),
    "moments": SPEC.model_copy(update={"realism": RealismSpec(kind="moments", share=0.5)}),
    "negative": SPEC.model_copy(update={"objective": NftSpec(beta=0.5, strength=0.5), "anchor": 0.1}),
    "dpo": SPEC.model_copy(update={"objective": DpoSpec()}),
    "crd": SPEC.model_copy(update={"objective": CrdSpec(num_takes=2), "anchor": 0.1}),
    "rvm": SPEC.model_copy(update={"objective": RvmSpec()}),
    "awm": SPEC.model_copy(update={"objective": AwmSpec(), "lora": LoraSpec(rank=2, alpha=2)}),
    "online": SPEC.model_copy(update={"objective": OnlineSpec(normalise="sigma_bin", num_ode_steps=2)}),
    "online by the base": SPEC.model_copy(
        update={"objective": OnlineSpec(denoiser="base"), "lora": LoraSpec(rank=2, alpha=2)}
    ),
    "reward_gradient": SPEC.model_copy(update={"objective": RewardGradientSpec(), "anchor": 0.1}),
    "last step": SPEC.model_copy(update={"objective": RewardGradientSpec(at="last_step", last_sigma=0.2)}),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_resumed_equals_straight(name: str, wan: Family, data: TrainingSet, tmp_path: Path) -> None:
    spec = VARIANTS[name]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    straight = _train(wan, data, spec, tmp_path / "a")
    for stop_at in (1, 2):
        with pytest.raises(Stopped):
            _train(wan, data, spec, tmp_path / "b", stop_at)
    resumed = _train(wan, data, spec, tmp_path / "b")
    assert resumed.progress.curves == straight.progress.curves
    for key, value in straight.average.items():
        assert torch.equal(value, resumed.average[key]), key


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "folder"])
def test_a_damaged_state_is_not_trained_on(damage: str, wan: Family, data: TrainingSet, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    straight = _train(wan, data, SPEC, tmp_path / "a")
    with pytest.raises(Stopped):
        _train(wan, data, SPEC, tmp_path / "b", 4)
    file = tmp_path / "b" / FILE_NAME
    state = bytearray(file.read_bytes())
    state[-9] ^= 64
    file.unlink()
    if damage == "folder":
        file.mkdir()
    else:
        file.write_bytes({"flip": state, "cut": state[: len(state) // 2], "empty": b""}[damage])
    with pytest.warns(UserWarning, match="is damaged; training starts again"):
        resumed = _train(wan, data, SPEC, tmp_path / "b")
    assert resumed.progress.curves == straight.progress.curves
    assert all(torch.equal(value, resumed.average[key]) for key, value in straight.average.items())


@pytest.mark.parametrize("name", ["full", "lora", "negative", "dpo", "crd", "rvm", "awm", "online", "reward_gradient"])
def test_accumulation_changes_nothing_but_rounding(name: str, wan: Family, data: TrainingSet, tmp_path: Path) -> None:
    """So it is in no work key; `moments`, which it would change, refuses it."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = _train(wan, data, VARIANTS[name], tmp_path / "a")
    parts = _train(wan, data, VARIANTS[name].model_copy(update={"num_accumulation": 2}), tmp_path / "b")
    for key, value in whole.average.items():
        torch.testing.assert_close(value, parts.average[key], atol=2e-4, rtol=1e-3)


def test_only_adapter_moves_and_merging_reproduces_it(wan: Family, data: TrainingSet, tmp_path: Path) -> None:
    spec = VARIANTS["lora"]
    network = make_network(wan, spec.lora, None, autocast=False)
    assert all(".lora_" in name for name in network.parameters())
    mean, std = weighted_moments(data.z_0_NCThw, torch.ones(10))
    trained = optimise(
        Job(network, data, TrainingLoss(spec, build_objective(spec), None, mean, std), spec, seed=3), tmp_path
    )
    merged = merged_weights(network, trained.average)
    assert set(merged) == set(wan.transformer.state_dict())
    batch = step_batch(data, spec, 0, 0).batch
    with torch.no_grad():
        for name, value in network.parameters().items():
            value.copy_(trained.average[name])
        expected = network.velocity(batch.z_0_BCTHW, batch.sigma_B, batch.text)
    plain = make_network(wan, None, merged, autocast=False)
    with torch.no_grad():
        got = plain.velocity(batch.z_0_BCTHW, batch.sigma_B, batch.text)
        base = plain_base = make_network(wan, None, None, autocast=False).velocity(
            batch.z_0_BCTHW, batch.sigma_B, batch.text
        )
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)
    assert float((plain_base - got).abs().max()) > 1e-4, base


def test_own_clips_are_drawn_in_proportion_to_their_weight(data: TrainingSet) -> None:
    counts = torch.zeros(10)
    for step in range(400):
        batch = step_batch(data, SPEC, step, seed=1).batch
        for row in batch.z_0_BCTHW[~batch.is_real_B]:
            counts[int((data.z_0_NCThw == row).all(dim=(1, 2, 3, 4)).nonzero()[0])] += 1
    shares = counts[:6] / counts[:6].sum()
    torch.testing.assert_close(shares, data.weight_N[:6] / data.weight_N[:6].sum(), atol=0.04, rtol=0)
    assert float(counts[6:].sum()) == 0


def test_nan_latents_stop_training_with_a_clear_error(wan: Family, data: TrainingSet, tmp_path: Path) -> None:
    broken = TrainingSet(**{**vars(data), "z_0_NCThw": torch.full_like(data.z_0_NCThw, float("nan"))})
    with pytest.raises(TrainingError, match="not finite"):
        _train(wan, broken, SPEC.model_copy(update={"num_steps": 20}), tmp_path)


@dataclass
class _BadOnce:
    """An objective that breaks down in one call, in its value or only in its gradient."""

    inner: TrainingLoss
    bad_call: int
    where: str
    num_calls: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        return self.inner.names

    def terms(self, velocity: Velocity, step: Step) -> LossTerms:
        self.num_calls += 1
        found = self.inner.terms(velocity, step)
        if self.num_calls != self.bad_call:
            return found
        ((name, value),) = found.terms.items()
        # The root has value 0 and an infinite slope there; 0 times that is no number.
        bad = value * float("nan") if self.where == "loss" else value + 0.0 * (value - value.detach()).sqrt()
        return LossTerms({name: bad}, found.coefficients)


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_one_step_that_is_not_finite_moves_nothing_and_is_counted(
    where: str, wan: Family, data: TrainingSet, tmp_path: Path
) -> None:
    spec = SPEC.model_copy(update={"realism": RealismSpec(kind="none")})
    network = make_network(wan, None, None, autocast=False)
    objective = _BadOnce(TrainingLoss(spec, build_objective(spec), None, torch.zeros(0), torch.zeros(0)), 3, where)

    def copied(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: value.detach().clone() for name, value in tensors.items()}

    weights, averages, skipped = [copied(network.parameters())], [], [0]
    hooks = Hooks(
        on_step=lambda progress: (weights.append(copied(network.parameters())), skipped.append(progress.num_skipped)),
        on_average=lambda network, average, step: averages.append(copied(average)),
    )
    trained = optimise(Job(network, data, objective, spec, seed=3), tmp_path, hooks)  # type: ignore[arg-type]
    for states in (weights, averages):
        assert len(states) == 1 + spec.num_steps
        moved = [any(not torch.equal(a[name], b[name]) for name in a) for a, b in pairwise(states)]
        assert moved == [True, True, False, True, True, True]
    assert all(bool(value.isfinite().all()) for value in (*weights[-1].values(), *trained.average.values()))
    progress = trained.progress
    assert (progress.step, progress.num_skipped, progress.num_skipped_in_a_row) == (6, 1, 0)
    assert skipped == [0, 0, 0, 1, 1, 1, 1]
    assert [step for step, _ in progress.curves["weighted_flow"]] == [1, 2, 4, 5, 6]


def test_no_weight_left_is_an_error(data: TrainingSet) -> None:
    with pytest.raises(TrainingError, match="weight above 0"):
        TrainingSet(**{**vars(data), "weight_N": torch.zeros(10)})


def test_watching_moves_no_weight_and_looks_before_step_1_and_at_every_checkpoint(
    wan: Family, data: TrainingSet, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    watched = _train(wan, data, SPEC.model_copy(update={"num_steps": 5}), tmp_path / "a")
    alone = _train(wan, data, SPEC.model_copy(update={"num_steps": 5}), tmp_path / "b", watch=False)
    for key, value in alone.average.items():
        assert torch.equal(value, watched.average[key]), key
    curves = watched.progress.curves
    assert [step for step, _ in curves["held_out_own"]] == [0, 2, 4, 5]
    assert curves["held_out_own"][0][1] != curves["held_out_own"][-1][1]
    assert "held_out_own" not in alone.progress.curves
    in_bins = {name: points for name, points in curves.items() if name.startswith("error_at_sigma_")}
    for step in range(5):
        sigma = step_batch(data, SPEC, step, 3).batch.sigma_B
        bins = {f"error_at_sigma_{min(9, int(each * 10)) / 10:.1f}" for each in sigma.tolist()}
        assert {name for name, points in in_bins.items() if step + 1 in [at for at, _ in points]} == bins


def test_a_prepared_network_trains_to_the_same_bits(wan: Family, data: TrainingSet, tmp_path: Path) -> None:
    """Measuring leaves no trace, and recomputing none either."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain = _train(wan, data, SPEC, tmp_path / "a")
    network = make_network(wan, None, None, autocast=False)
    state = torch.get_rng_state()
    setup = prepare(network, data, SPEC, TrainRuntime(recompute="half"))
    assert torch.equal(state, torch.get_rng_state())
    assert setup.recompute == "half" and setup.attention == "math" and not setup.compiled
    assert all(setup.activation_bytes[policy] > 0 for policy in ("none", "half", "all"))
    mean, std = weighted_moments(data.z_0_NCThw, torch.ones(len(data.z_0_NCThw)))
    objective = TrainingLoss(SPEC, build_objective(SPEC), None, mean, std)
    trained = optimise(Job(network, data, objective, SPEC, seed=3, setup=setup), tmp_path / "b")
    for key, value in plain.average.items():
        assert torch.equal(value, trained.average[key]), key


@pytest.mark.parametrize("lora", [None, LoraSpec(rank=2, alpha=2)])
def test_compiled_blocks_that_round_otherwise_are_no_other_network(
    lora: LoraSpec | None, wan: Family, data: TrainingSet, tmp_path: Path
) -> None:
    """The usual backend differs from the plain blocks in the last bits; this one by more, and is seen to be used."""
    used: list[int] = []

    def rounded(graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> Callable[..., tuple[torch.Tensor, ...]]:
        def run(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
            used.append(len(inputs))
            return tuple(value + 1e-3 for value in graph(*inputs))

        return run

    spec = SPEC.model_copy(update={"num_steps": 1, "lora": lora})
    network = make_network(wan, lora, None, autocast=False)
    compile_blocks(network.tuned, backend=rounded)
    mean, std = weighted_moments(data.z_0_NCThw, torch.ones(len(data.z_0_NCThw)))
    objective = TrainingLoss(spec, build_objective(spec), network.reference, mean, std)
    job = Job(network, data, objective, spec, seed=3, setup=Setup(compiled=True))
    check_untouched(job)
    assert not used
    trained = optimise(job, tmp_path)
    assert used and trained.progress.step == 1
    with pytest.raises(TrainingError, match="differs from its base"):
        check_untouched(job)


def test_curves_hold_the_learning_rate_and_the_norm_before_clipping(
    wan: Family, data: TrainingSet, tmp_path: Path
) -> None:
    spec = SPEC.model_copy(update={"max_grad_norm": 1e-6})
    curves = _train(wan, data, spec, tmp_path, watch=False).progress.curves
    assert curves[RATE] == [(step + 1, learning_rate(step, spec)) for step in range(6)]
    assert curves[RATE][0][1] < curves[RATE][-1][1] == spec.learning_rate
    assert [step for step, _ in curves[NORM]] == [1, 2, 3, 4, 5, 6]
    assert all(norm > 1e-6 for _, norm in curves[NORM])


def test_the_last_step_in_a_word_is_its_loss() -> None:
    curves = {"held_out_own": [(0, 1.0), (1, 0.9)], RATE: [(1, 1e-4)], "weighted_flow": [(0, 9.0), (1, 0.1234)]}
    assert Progress(step=1, curves=curves).note == "loss weighted_flow 0.123"
    assert Progress(step=2, curves=curves).note == ""
