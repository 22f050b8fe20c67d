"""The benchmarks at tiny shapes: both sides run, and what they say has the form that results are kept in."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel

from rushes.plan.models import REAL_MODELS

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "real_models.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_real_models", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_everything_is_measured_beside_the_plain_way(script: ModuleType) -> None:
    found = json.loads(json.dumps(script.run(script.TINY, torch.device("cpu"))))
    assert found["is_smoke_test"] and "CPU cores" in found["machine"]
    by_name = {result["what"]: result for result in found["results"]}
    assert len(by_name) == len(found["results"]) == 7
    for name, result in by_name.items():
        assert result["ours_s"] > 0 and result["plain_s"] > 0, name
        assert result["ratio"] == pytest.approx(result["plain_s"] / result["ours_s"])


def test_a_measurement_that_runs_out_of_memory_is_no_number(script: ModuleType) -> None:
    def greedy() -> None:
        raise torch.OutOfMemoryError("no")

    device = torch.device("cpu")
    ours, plain = script.measured(greedy, 1, device), script.measured(lambda: None, 1, device)
    result = script.beside("x", "s", ours, plain)
    assert result.ours_s is None and result.ratio is None and result.plain_s is not None


def test_the_real_setup_is_wan_at_its_true_shape(script: ModuleType) -> None:
    model = REAL_MODELS["Wan-AI/Wan2.1-T2V-1.3B-Diffusers"].size
    with torch.device("meta"):
        transformer = WanTransformer3DModel(**script.REAL.transformer)
        autoencoder = AutoencoderKLWan(**script.REAL.autoencoder)
    assert sum(p.numel() for p in transformer.parameters()) == pytest.approx(model.num_transformer, rel=0.001)
    assert sum(p.numel() for p in autoencoder.parameters()) == pytest.approx(model.num_autoencoder, rel=0.01)
    shape = script.REAL.shape
    assert (shape.width_px, shape.height_px, shape.num_frames) == (832, 480, 81)


def test_the_real_judge_has_seven_billion_parameters(script: ModuleType, tmp_path: Path) -> None:
    judge = script.random_judge(script.REAL, torch.device("meta"), tmp_path)
    # 7.07e9 without the tables of its 152,064 words, which random weights have no use for.
    assert sum(p.numel() for p in judge.parameters()) == pytest.approx(7.2e9, rel=0.03)
