"""Training step, sampler step, decoding and judging at real shapes with random weights, each against a plain version.

    python benchmarks/real_models.py --tiny                       a smoke test on any machine: the numbers mean nothing
    python benchmarks/real_models.py --out results.json           Wan2.1 1.3B at 832 x 480, 81 frames; a judge of
                                                                  Qwen2.5-VL-7B's shape. Needs a GPU of 80 GB
    python benchmarks/real_models.py --sandbox --only compiling   the sandbox's transformer at its true shape and batch,
                                                                  with and without runtime.train.compile_blocks

Nothing is downloaded. "Plain" is the code one writes with diffusers and transformers alone, in the same number
formats; for compiled blocks it is the same loop without compilation. Seconds are the best of a few runs. The ratio is
plain over ours, so above 1 ours is faster. Peak memory is that of the device on a GPU, and of this process on a CPU.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support.measuring import Measured, Result, beside, machine, measured, peak_of, reset_peak
from benchmarks.support.setups import REAL, SANDBOX, TINY, Setup
from rushes.families.texts import TextStates
from rushes.families.wan import Wan
from rushes.recipe.runtime import TrainRuntime
from rushes.recipe.train import LoraSpec, TrainSpec
from rushes.records import Question, SamplerSettings
from rushes.roles import JudgeRequest, Video

PROMPT = "a red ball rolls to the left"
NEGATIVE = ""
Recomputed = Literal["none", "all"]


# ---------------------------------------------------------------------------------------------- the model


def random_wan(setup: Setup, device: torch.device) -> Wan:
    """A Wan of that shape with random weights and no text encoder: its text states are random, too."""
    from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel

    torch.manual_seed(0)
    with torch.device(device):
        transformer = WanTransformer3DModel(**setup.transformer).eval().requires_grad_(False)
        autoencoder = AutoencoderKLWan(**setup.autoencoder).eval().requires_grad_(False)
    scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0)
    pipeline = WanPipeline(
        tokenizer=None, text_encoder=None, vae=autoencoder, scheduler=scheduler, transformer=transformer
    )
    pipeline.set_progress_bar_config(disable=True)
    length, width = setup.text
    kept = {text: TextStates(torch.randn(1, length, width)) for text in (PROMPT, NEGATIVE)}
    return Wan(
        pipeline=pipeline, fingerprint="0" * 64, max_tokens=length, device=device, scheduler_config=scheduler.config,
        kept=kept,
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------- what is measured


def training_step(setup: Setup, wan: Wan, lora: LoraSpec | None, recompute: Recomputed) -> Result:
    """One optimiser step: our loop against a hand-written one."""
    ours, _ = _ours_training(setup, wan, lora, recompute)
    plain = _plain_training(setup, wan, lora, recompute)
    what = f"training step, {_tuned(lora)}, {recompute} of the blocks recomputed"
    return beside(what, _unit(setup), ours, plain)


def compiled_step(setup: Setup, make_wan: Callable[[], Wan], lora: LoraSpec | None) -> Result:
    """One optimiser step with repeated blocks compiled, against the same loop without; nothing is recomputed.

    The compile time is how much later the first step ends than without compilation. No compilation cache is used.
    """
    from torch._inductor.utils import fresh_cache

    plain, plain_first_s = _ours_training(setup, make_wan(), lora, "none")
    torch._dynamo.reset()
    with fresh_cache():
        ours, first_s = _ours_training(setup, make_wan(), lora, "none", compiled=True)
    found = beside(f"training step, {_tuned(lora)}, compiled blocks", _unit(setup), ours, plain)
    lost = None if first_s is None or plain_first_s is None else first_s - plain_first_s
    return replace(found, compile_s=lost)


def _tuned(lora: LoraSpec | None) -> str:
    return "in full" if lora is None else f"adapter of rank {lora.rank}"


def _unit(setup: Setup) -> str:
    return f"seconds a step of {'one clip' if setup.batch_size == 1 else f'{setup.batch_size} clips'}"


def _clean(setup: Setup, wan: Wan) -> torch.Tensor:
    """The latents of one clip, 1, C, T, h, w."""
    return torch.randn(1, *wan.latent_shape(setup.shape))


def _ours_training(
    setup: Setup, wan: Wan, lora: LoraSpec | None, recompute: Recomputed, *, compiled: bool = False
) -> tuple[Measured, float | None]:
    """The best step with its peak memory, and the seconds until the first step ended; None when out of memory."""
    try:
        return _optimised(setup, wan, lora, recompute, compiled)
    except torch.OutOfMemoryError:
        return (None, None), None


def _optimised(
    setup: Setup, wan: Wan, lora: LoraSpec | None, recompute: Recomputed, compiled: bool
) -> tuple[Measured, float]:
    from rushes.train.data import TrainingSet
    from rushes.train.hooks import Hooks
    from rushes.train.job import Job
    from rushes.train.loop import optimise
    from rushes.train.network import make_network
    from rushes.train.objective import TrainingLoss
    from rushes.train.objectives import build_objective
    from rushes.train.setup import prepare
    from rushes.train.state import Progress

    z_0 = _clean(setup, wan)
    spec = TrainSpec(
        num_steps=setup.num_repeats + 1, batch_size=setup.batch_size, ema_decay=0.0, precision="bfloat16",
        checkpoint_every=10**6, caption_drop=0.0,
    )  # fmt: skip
    spec = spec.model_copy(update={"lora": lora, "realism": spec.realism.model_copy(update={"kind": "none"})})
    one, own = torch.ones(1), torch.zeros(1, dtype=torch.bool)
    data = TrainingSet(
        z_0_NCThw=z_0, text=wan.kept[PROMPT], empty=wan.kept[NEGATIVE], weight_N=one, preference_N=one, is_real_N=own
    )
    network = make_network(wan, lora, None, autocast=True)
    shape = z_0.shape[1:3]
    objective = TrainingLoss(spec, build_objective(spec), None, torch.zeros(shape), torch.ones(shape))
    chosen = prepare(network, data, spec, TrainRuntime(recompute=recompute, compile_blocks=compiled))
    times: list[float] = []
    done: list[float] = []

    def on_step(progress: Progress) -> None:
        times.append(progress.seconds)
        done.append(time.perf_counter())

    reset_peak(wan.device)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        optimise(Job(network, data, objective, spec, seed=0, setup=chosen), Path(scratch), Hooks(on_step=on_step))
    best = min(after - before for before, after in itertools.pairwise(times))
    return (best, peak_of(wan.device)), done[0] - began


def _plain_training(setup: Setup, wan: Wan, lora: LoraSpec | None, recompute: Recomputed) -> Measured:
    """A few lines of diffusers, peft and torch, as in their examples: autocast, AdamW, mean squared error."""
    import copy

    from peft import LoraConfig

    from rushes.families.wan import LORA_TARGETS

    model = copy.deepcopy(wan.transformer).train().requires_grad_(lora is None)
    if lora is not None:
        model.add_adapter(LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=list(LORA_TARGETS)))
    parameters = [p for p in model.parameters() if p.requires_grad]
    if recompute == "all":
        model.enable_gradient_checkpointing()
    optimizer = torch.optim.AdamW(parameters, lr=1e-5)
    z_0 = _clean(setup, wan).to(wan.device).expand(setup.batch_size, -1, -1, -1, -1)
    text = wan.kept[PROMPT].to(wan.device).states_BLD.expand(setup.batch_size, -1, -1)

    def step() -> object:
        sigma = torch.rand(setup.batch_size, device=z_0.device)
        noise = torch.randn_like(z_0)
        part = sigma.view(-1, 1, 1, 1, 1)
        noisy = (1 - part) * z_0 + part * noise
        with torch.autocast(z_0.device.type, torch.bfloat16):
            velocity = model(noisy, sigma * 1000, text, return_dict=False)[0]
        loss = (velocity.float() - (noise - z_0)).square().mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss

    return measured(step, setup.num_repeats, wan.device)


def sampling(setup: Setup, wan: Wan) -> Result:
    """One step with guidance: the adapter, against the stock pipeline called directly."""
    sampler = SamplerSettings(
        num_steps=setup.num_sampler_steps, guidance_scale=5.0, shift=5.0, scheduler="UniPCMultistepScheduler",
        precision="bfloat16",
    )  # fmt: skip
    shape, device = setup.shape, wan.device

    def plain() -> object:
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
            return wan.pipeline(
                prompt_embeds=wan.kept[PROMPT].to(device).states_BLD,
                negative_prompt_embeds=wan.kept[NEGATIVE].to(device).states_BLD,
                height=shape.height_px, width=shape.width_px, num_frames=shape.num_frames,
                num_inference_steps=setup.num_sampler_steps, guidance_scale=5.0, output_type="latent",
                generator=torch.Generator().manual_seed(0),
            )  # fmt: skip

    ours_measured = measured(lambda: wan.sample([PROMPT], [0], sampler, shape), setup.num_repeats, device)
    plain_measured = measured(plain, setup.num_repeats, device)
    unit = "seconds a step of one clip, with guidance"
    return beside("sampler step", unit, ours_measured, plain_measured, per=setup.num_sampler_steps)


def decoding(setup: Setup, wan: Wan) -> Result:
    """Latents of one clip to uint8 frames, against the autoencoder and the pipeline's own post-processing."""
    latents = torch.randn(1, *wan.latent_shape(setup.shape), device=wan.device)

    def plain() -> object:
        with torch.no_grad():
            video = wan.pipeline.vae.decode(latents, return_dict=False)[0]
        return (wan.pipeline.video_processor.postprocess_video(video, output_type="np") * 255).round().astype(np.uint8)

    ours_measured = measured(lambda: wan.decode(latents), setup.num_repeats, wan.device)
    return beside("decoding", "seconds a clip", ours_measured, measured(plain, setup.num_repeats, wan.device))


def judging(setup: Setup, device: torch.device, folder: Path) -> Result:
    """Four questions about one clip, against one `generate` call per question."""
    from PIL import Image

    from rushes.judge.asked import positions, shrunk
    from rushes.judge.vlm_local import LocalVlmJudge
    from rushes.judge.vlm_model import LocalVlm
    from rushes.recipe.models import LocalModelSpec, VlmJudgeSpec
    from rushes.recipe.runtime import RuntimeSpec

    model = random_judge(setup, device, folder)
    local = LocalModelSpec(model=str(folder))
    spec = VlmJudgeSpec(model=local, num_frames=8)
    judge = LocalVlmJudge(spec, LocalVlm(local, RuntimeSpec(device=str(device))))
    judge.vlm.__dict__["model"] = model  # random weights of this size need no file
    shape = setup.shape
    size = (shape.num_frames, shape.height_px, shape.width_px, 3)
    frames = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    texts = ["is the ball red?", "is the ball blue?", "does it move left?", "does it move right?"]
    questions = tuple(Question(text=t, expected="yes", dimension="Composition", about="x") for t in texts)
    processor = judge.vlm.processor

    def plain() -> None:
        chosen = shrunk(frames[[*positions(len(frames), 8)]], spec.max_side_px)
        images = [Image.fromarray(frame) for frame in chosen]
        for text in texts:
            content = [{"type": "image"}] * len(images) + [{"type": "text", "text": text}]
            chat = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
            inputs = processor(text=[chat], images=[images], return_tensors="pt").to(device, model.dtype)
            with torch.inference_mode():
                model.generate(**inputs, max_new_tokens=1, do_sample=False)

    request = JudgeRequest(Video(frames, shape.fps), PROMPT, questions)
    ours_measured = measured(lambda: judge.answer([request]), setup.num_repeats, device)
    plain_measured = measured(plain, setup.num_repeats, device)
    return beside("judging", "seconds a clip of 4 questions", ours_measured, plain_measured)


def random_judge(setup: Setup, device: torch.device, folder: Path) -> Any:
    """A Qwen2.5-VL of that shape with random weights; its processor is saved to `folder`."""
    from transformers import AutoConfig, Qwen2_5_VLForConditionalGeneration, Qwen2VLImageProcessorPil

    from tests.support.tiny_vlm import make_qwen

    make_qwen(folder)
    Qwen2VLImageProcessorPil(min_pixels=56 * 56, max_pixels=setup.judge_pixels).save_pretrained(folder)
    config = AutoConfig.from_pretrained(folder)
    for part, values in ((config.text_config, setup.judge_text), (config.vision_config, setup.judge_vision)):
        for name, value in values.items():
            setattr(part, name, value)
    # Depth and attention kinds are listed per layer, too.
    config.text_config.layer_types = ["full_attention"] * config.text_config.num_hidden_layers
    config.text_config.max_position_embeddings = 32768
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            return Qwen2_5_VLForConditionalGeneration(config).eval().requires_grad_(False)
    finally:
        torch.set_default_dtype(torch.float32)


# ---------------------------------------------------------------------------------------------- all of it


PARTS = ("sampling", "decoding", "training", "compiling", "judging")


def run(setup: Setup, device: torch.device, parts: Sequence[str] = PARTS) -> dict[str, object]:
    """The measurements of some parts as JSON values."""
    results = []
    if "sampling" in parts:
        results.append(sampling(setup, random_wan(setup, device)))
    if "decoding" in parts:
        results.append(decoding(setup, random_wan(setup, device)))
    for lora in (LoraSpec(rank=32, alpha=32), None):
        if "training" in parts:
            results.append(training_step(setup, random_wan(setup, device), lora, "none"))
            results.append(training_step(setup, random_wan(setup, device), lora, "all"))
        if "compiling" in parts:
            results.append(compiled_step(setup, lambda: random_wan(setup, device), lora))
    if "judging" in parts:
        with tempfile.TemporaryDirectory() as folder:
            results.append(judging(setup, device, Path(folder)))
    return {
        "setup": setup.name,
        "clip": f"{setup.shape.num_frames} frames of {setup.shape.width_px} x {setup.shape.height_px}",
        "machine": machine(device),
        "is_smoke_test": setup is TINY,
        "results": [asdict(result) for result in results],
    }


def _words(seconds: float | None, peak_bytes: int | None) -> str:
    if seconds is None:
        return "out of memory"
    return f"{seconds:.4f} s" + ("" if peak_bytes is None else f" and {peak_bytes / 1e9:.2f} GB")


def main() -> None:
    """Measure, print, and write JSON if requested."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="tiny shapes: a smoke test; the default without a GPU")
    parser.add_argument("--sandbox", action="store_true", help="the sandbox's model at its true shape and batch")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS, help="measure only these parts")
    parser.add_argument("--out", type=Path, help="write the results here, as JSON")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    setup = SANDBOX if options.sandbox else TINY if options.tiny or device.type == "cpu" else REAL
    found = run(setup, device, options.only)
    print(f"{found['setup']}, {found['clip']}, on {found['machine']}")
    for result in found["results"]:  # type: ignore[attr-defined]
        ours, plain = (_words(result[f"{who}_s"], result[f"{who}_peak_bytes"]) for who in ("ours", "plain"))
        ratio = "" if result["ratio"] is None else f"; ratio {result['ratio']:.2f}"
        once = "" if result["compile_s"] is None else f"; compiling took {result['compile_s']:.1f} s once"
        print(f"{result['what']}: {ours}, plain {plain}{ratio}{once} ({result['unit']})")
    if options.out:
        options.out.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
