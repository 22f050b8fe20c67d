"""Every adapter against its own stock pipeline: same text states, same network calls, same latents, same pixels."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rushes.errors import RecipeError
from rushes.families.cogvideox import STEP_NOISE
from rushes.families.family import Conditions, Family
from rushes.families.load import load_family
from rushes.families.loaded import to_frames
from rushes.families.ltx import DECODE_NOISE_SCALE, DECODE_SEED, DECODE_TIMESTEP
from rushes.families.ltx2 import PLAIN_GUIDANCE
from rushes.families.noise import generators, noise_of
from rushes.families.texts import TextStates, as_negative
from rushes.families.weights import hash_model
from rushes.recipe.base import ShapeSpec
from rushes.train.live_judge import rounded_pixels
from tests.support.tiny_families import TINY, TinyFamily

TEXTS, SEEDS = ["a red circle moves up", 'a "blue" square'], [5, 2**40]


@pytest.fixture(scope="module", params=list(TINY))
def tiny(request: pytest.FixtureRequest) -> TinyFamily:
    return TINY[request.param]


@pytest.fixture(scope="module")
def family(tiny: TinyFamily, tmp_path_factory: pytest.TempPathFactory) -> Family:
    return load_family(tiny.base(tiny.save(tmp_path_factory.mktemp("model"))))


def in_its_layout(family: Family, latents: torch.Tensor) -> torch.Tensor:
    """Latents (N, C, t, h, w) as the stock pipeline lays them out."""
    if family.name == "cogvideox":
        return latents.permute(0, 2, 1, 3, 4)
    if family.name in ("ltx", "ltx2"):
        return latents.flatten(2).transpose(1, 2)
    return latents


def stock(family: Family, tiny: TinyFamily, **changes: Any) -> Any:
    """What the pipeline itself gives, texts in, with the noise and the scheduler that the adapter uses."""
    shape, sampler = tiny.shape, tiny.sampler
    options: dict[str, Any] = {
        "prompt": TEXTS,
        "height": shape.height_px,
        "width": shape.width_px,
        "num_frames": shape.num_frames,
        "num_inference_steps": sampler.num_steps,
        "guidance_scale": sampler.guidance_scale,
        "latents": in_its_layout(family, family.noise(SEEDS, family.latent_shape(shape))),  # type: ignore[attr-defined]
        "output_type": "np",
        "max_sequence_length": tiny.max_tokens,
    }
    if family.name == "cogvideox":
        options["generator"] = generators([seed ^ STEP_NOISE for seed in SEEDS])
    if family.name == "ltx":
        options |= {"frame_rate": shape.fps, "generator": generators([DECODE_SEED] * 2)}
        options |= {"decode_timestep": DECODE_TIMESTEP, "decode_noise_scale": DECODE_NOISE_SCALE}
    if family.name == "sana_video":
        options["frames"] = options.pop("num_frames")
        options |= {"use_resolution_binning": False, "negative_prompt": sampler.negative_prompt}
    if family.name == "ltx2":
        options |= PLAIN_GUIDANCE | {"audio_guidance_scale": sampler.guidance_scale, "frame_rate": shape.fps}
        del options["latents"]  # drawn by the pipeline itself, and the noise of the sound after it
        options["generator"] = generators(SEEDS)
        options["negative_prompt"] = [sampler.negative_prompt] * len(TEXTS)
    options |= changes
    if family.name == "hunyuan15":
        del options["max_sequence_length"]
        options["negative_prompt"] = [sampler.negative_prompt] * len(TEXTS)
        family.pipeline.guider = family.pipeline.guider.new(guidance_scale=options.pop("guidance_scale"))
    torch.manual_seed(DECODE_SEED)
    return family.pipeline(**options).frames


def last_transformer(family: Family) -> Any:
    """The one that takes the last step of a sampler."""
    return list(family.transformers.values())[-1]


def test_a_sampler_begins_with_the_noise_of_the_seed(family: Family, tiny: TinyFamily) -> None:
    """Training can draw it again: the state that the transformer reads first, with guidance or without."""
    seen: list[torch.Tensor] = []
    hook = family.transformer.register_forward_pre_hook(
        lambda module, args, named: seen.append((*args, named.get("hidden_states"))[0].clone()), with_kwargs=True
    )
    try:
        family.sample(TEXTS, SEEDS, tiny.sampler, tiny.shape)
    finally:
        hook.remove()
    expected = in_its_layout(family, noise_of(SEEDS, family.latent_shape(tiny.shape)))
    torch.testing.assert_close(seen[0][: len(SEEDS), : expected.shape[1]].float(), expected, atol=1e-5, rtol=1e-5)


def test_kept_latents_decode_to_the_pipelines_own_video(family: Family, tiny: TinyFamily) -> None:
    sampled = family.sample(TEXTS, SEEDS, tiny.sampler, tiny.shape)  # which puts its scheduler in
    kept: list[torch.Tensor] = []

    step = family.pipeline.scheduler.step

    def watched(*args: Any, **named: Any) -> Any:
        kept.append((made := step(*args, **named))[0].clone())
        return made

    def keep(pipe: Any, step: int, timestep: Any, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        kept.append(tensors["latents"].clone())
        return tensors

    if family.name == "hunyuan15":  # whose pipeline calls nobody back
        family.pipeline.scheduler.step = watched
        video = stock(family, tiny)
    else:
        video = stock(family, tiny, callback_on_step_end=keep, callback_on_step_end_tensor_inputs=["latents"])
    theirs = (np.asarray(video) * 255).round().astype(np.uint8)
    size = family.latent_shape(tiny.shape)
    latents = kept[-1]
    if family.name == "cogvideox":
        latents = latents.permute(0, 2, 1, 3, 4)
    if family.name in ("ltx", "ltx2"):
        latents = latents.transpose(1, 2).unflatten(2, size[1:])
    ours = np.stack(family.decode(latents))
    assert ours.shape == (2, tiny.shape.num_frames, tiny.shape.height_px, tiny.shape.width_px, 3)
    np.testing.assert_array_equal(ours, theirs)
    assert ours.std() > 1, "an empty video would prove nothing"
    assert sampled.shape == (2, *size) and sampled.dtype == torch.float32
    # Another attention kernel and another batch of texts: rounding.
    torch.testing.assert_close(sampled, latents.float(), atol=1e-4, rtol=1e-4)


def test_pixels_with_a_gradient_are_those_that_are_stored(family: Family, tiny: TinyFamily) -> None:
    latents = family.noise(SEEDS, family.latent_shape(tiny.shape)).requires_grad_()  # type: ignore[attr-defined]
    pixels = rounded_pixels(family.decoded(latents))
    np.testing.assert_array_equal(pixels.detach().numpy(), np.stack(family.decode(latents.detach())))
    (g,) = torch.autograd.grad(pixels[0].mean(), latents)
    assert bool(g.isfinite().all()) and bool(g[0].any()) and not bool(g[1].any())


def test_the_last_step_is_taken_from_the_level_that_it_says(family: Family, tiny: TinyFamily) -> None:
    sampler, seen = tiny.sampler.model_copy(update={"num_steps": 4}), list[float]()

    def watch(module: Any, args: Any, kwargs: Any, output: Any) -> None:
        seen.append(float(kwargs["timestep"].flatten()[0]))

    hook = last_transformer(family).register_forward_hook(watch, with_kwargs=True)
    family.sample(TEXTS[:1], SEEDS[:1], sampler, tiny.shape)
    hook.remove()
    assert 0 < family.last_sigma(sampler) < 1
    # Schedulers and pipelines round timesteps down to whole ones.
    assert family.last_sigma(sampler) * 1000 == pytest.approx(seen[-1], abs=1.0)


def test_predict_is_the_call_that_the_pipeline_makes(family: Family, tiny: TinyFamily) -> None:
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    # LTX-2's call with its halves apart is the one that training makes.
    apart = {"modality_scale": 2.0, "audio_guidance_scale": 1.0} if family.name == "ltx2" else {}

    def watch(module: Any, args: Any, kwargs: Any, output: Any) -> None:
        if kwargs.get("isolate_modalities", True):
            seen.append((kwargs["timestep"], output[0]))

    hook = family.transformer.register_forward_hook(watch, with_kwargs=True)
    guidance = 6.0 if family.name == "hunyuan" else 1.0
    stock(family, tiny, guidance_scale=guidance, output_type="latent", **apart)
    hook.remove()
    timestep, theirs = seen[0]
    told = timestep.view(len(timestep), -1)[:, 0]
    noise = family.noise(SEEDS, family.latent_shape(tiny.shape))  # type: ignore[attr-defined]
    conditions = Conditions(fps=tiny.shape.fps, guidance=guidance)
    with torch.no_grad():
        ours = family.predict(family.transformer, noise, told, family.encode_text(TEXTS), conditions)
    assert ours.shape == noise.shape
    torch.testing.assert_close(in_its_layout(family, ours), theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "change"), [("ltx", {"fps": 25.0}), ("ltx-2", {"fps": 25.0}), ("hunyuan", {"guidance": 1.0})]
)
def test_what_a_transformer_is_told_besides_matters(name: str, change: dict[str, float], tmp_path: Path) -> None:
    tiny = TINY[name]
    family = load_family(tiny.base(tiny.save(tmp_path)))
    noise = family.noise(SEEDS, family.latent_shape(tiny.shape))  # type: ignore[attr-defined]
    text, timestep = family.encode_text(TEXTS), torch.tensor([500.0, 100.0])
    usual = Conditions(fps=8.0, guidance=6.0)
    with torch.no_grad():
        one = family.predict(family.transformer, noise, timestep, text, usual)
        other = family.predict(family.transformer, noise, timestep, text, Conditions(**{**vars(usual), **change}))
    assert float((one - other).abs().max()) > 1e-6


def test_encoding_is_the_inverse_of_decoding(family: Family, tiny: TinyFamily) -> None:
    """Decoding what was encoded gives what the autoencoder makes of the pixels, whatever the normalisation between."""
    if tiny is TINY["ltx-0.9.1"]:
        pytest.skip("its decoder adds noise")
    shape = (tiny.shape.num_frames, tiny.shape.height_px, tiny.shape.width_px, 3)
    frames = np.random.default_rng(0).integers(0, 256, (2, *shape), dtype=np.uint8)
    latents = family.encode(list(frames))
    assert latents.shape == (2, *family.latent_shape(tiny.shape))
    x = torch.from_numpy(frames).permute(0, 4, 1, 2, 3) / 127.5 - 1
    vae = family.pipeline.vae
    with torch.no_grad():
        direct = to_frames(vae.decode(vae.encode(x).latent_dist.mode()).sample)
    gap = np.abs(np.stack(family.decode(latents)).astype(int) - np.stack(direct).astype(int))
    assert gap.max() <= 1


def test_a_clip_depends_on_its_own_seed_alone(family: Family, tiny: TinyFamily) -> None:
    together = family.sample(TEXTS, SEEDS, tiny.sampler, tiny.shape)
    alone = family.sample(TEXTS[1:], SEEDS[1:], tiny.sampler, tiny.shape)
    torch.testing.assert_close(together[1:], alone, atol=1e-3, rtol=1e-3)
    other = family.sample(TEXTS[1:], [7], tiny.sampler, tiny.shape)
    assert float((together[1:] - other).abs().max()) > 0.1


def test_text_states_are_the_pipelines_and_outlive_the_encoder(family: Family) -> None:
    before = family.encode_text([*TEXTS, "", TEXTS[0]])
    assert len(before) == 4 and torch.equal(before.states_BLD[0], before.states_BLD[3])
    assert {"hunyuan": 3, "ltx": 2, "sana_video": 2, "hunyuan15": 4, "ltx2": 3}.get(family.name, 1) == len(
        before.tensors()
    )
    family.keep_texts([*TEXTS, ""])
    family.drop_text_encoder()
    assert family.pipeline.text_encoder is None
    kept = family.encode_text(["", TEXTS[0]])
    assert family.pipeline.text_encoder is None, "kept texts need no encoder"
    for name, value in kept.tensors().items():
        torch.testing.assert_close(value, before[[2, 0]].tensors()[name])
    fresh = family.encode_text(["a green cross"])
    assert family.pipeline.text_encoder is not None and len(fresh) == 1
    family.kept.clear()  # type: ignore[attr-defined]
    for name, value in family.encode_text(TEXTS).tensors().items():
        torch.testing.assert_close(value, before[[0, 1]].tensors()[name])


@pytest.mark.parametrize("part", ["guider", "connectors", "audio_vae"])
def test_what_decides_clips_beside_the_usual_parts_is_in_the_fingerprint(part: str, tmp_path: Path) -> None:
    (tmp_path / part).mkdir()
    (tmp_path / "model_index.json").write_text("{}", encoding="utf-8")
    file = tmp_path / part / "config.json"
    file.write_text('{"guidance_rescale": 0}', encoding="utf-8")
    before = hash_model(tmp_path)
    file.write_text('{"guidance_rescale": 1}', encoding="utf-8")
    assert hash_model(tmp_path) != before


def test_a_kept_negative_prompt_is_not_a_prompt_of_the_same_words(tmp_path: Path) -> None:
    tiny = TINY["sana-video"]
    family = load_family(tiny.base(tiny.save(tmp_path)))
    negative = tiny.sampler.negative_prompt
    family.keep_texts([as_negative(negative), negative])
    family.drop_text_encoder()
    kept = family.negative_text(1, tiny.sampler)  # type: ignore[attr-defined]
    assert family.pipeline.text_encoder is None, "a kept negative prompt needs no encoder"
    assert float((kept.states_BLD - family.encode_text([negative]).states_BLD).abs().max()) > 1e-3
    assert as_negative("") == "", "an empty negative prompt is the text of a dropped caption"


@pytest.mark.parametrize(
    ("name", "frames", "height", "nearest"),
    [
        ("wan-ti2v", 6, 48, "num_frames=5.*height_px=64.*width_px=32"),
        ("cogvideox-2b", 13, 30, "num_frames=17.*height_px=32.*width_px=32"),
        ("cogvideox-1.5", 20, 32, "num_frames=17.*height_px=32.*width_px=32"),
        ("hunyuan", 8, 40, "num_frames=9.*height_px=32.*width_px=32"),
        ("ltx", 10, 30, "num_frames=9.*height_px=32.*width_px=32"),
        ("ltx-2", 8, 36, "num_frames=9.*height_px=32.*width_px=32"),
        ("hunyuan-1.5", 8, 38, "num_frames=9.*height_px=40.*width_px=32"),
        ("sana-video", 8, 48, "num_frames=9.*height_px=64.*width_px=32"),
    ],
)
def test_an_impossible_shape_names_the_nearest_legal_one(
    name: str, frames: int, height: int, nearest: str, tmp_path: Path
) -> None:
    tiny = TINY[name]
    family = load_family(tiny.base(tiny.save(tmp_path)))
    with pytest.raises(RecipeError, match=nearest):
        family.latent_shape(ShapeSpec(num_frames=frames, height_px=height, width_px=32))


@pytest.mark.parametrize(
    ("name", "change", "setting"),
    [
        ("cogvideox-2b", {"shift": 3.0}, "shift"),
        ("cogvideox-2b", {"scheduler": "UniPCMultistepScheduler"}, "scheduler"),
        ("hunyuan", {"negative_prompt": "blurry"}, "negative_prompt"),
        ("hunyuan", {"scheduler": "UniPCMultistepScheduler"}, "scheduler"),
        ("ltx", {"scheduler": "UniPCMultistepScheduler"}, "scheduler"),
        ("sana-video", {"scheduler": "DDIMScheduler"}, "scheduler"),
        ("hunyuan-1.5", {"scheduler": "UniPCMultistepScheduler"}, "scheduler"),
        ("wan-ti2v", {"scheduler": "DDIMScheduler"}, "scheduler"),
    ],
)
def test_a_setting_that_would_be_ignored_is_refused(
    name: str, change: dict[str, Any], setting: str, tmp_path: Path
) -> None:
    tiny = TINY[name]
    family = load_family(tiny.base(tiny.save(tmp_path)))
    with pytest.raises(RecipeError, match=setting):
        family.sample(TEXTS, SEEDS, tiny.sampler.model_copy(update=change), tiny.shape)


def test_a_fixed_shift_is_ltx_videos_shift_by_length(tmp_path: Path) -> None:
    from diffusers import FlowMatchEulerDiscreteScheduler
    from diffusers.pipelines.ltx.pipeline_ltx import calculate_shift

    tiny = TINY["ltx"]
    family = load_family(tiny.base(tiny.save(tmp_path)))
    shape = ShapeSpec(height_px=64, width_px=96, num_frames=41)
    _, t, h, w = family.latent_shape(shape)
    mu, sigmas = calculate_shift(t * h * w, 1024, 4096, 0.95, 2.05), np.linspace(1.0, 1 / 6, 6)
    shift = math.exp(0.95 + 1.1 * (t * h * w - 1024) / 3072)  # as docs/families.md has it
    assert shift == pytest.approx(math.exp(mu))
    theirs = FlowMatchEulerDiscreteScheduler.from_config(family.pipeline.scheduler.config)
    theirs.set_timesteps(sigmas=sigmas, mu=mu)
    ours = family.make_scheduler(tiny.sampler.model_copy(update={"shift": shift}))  # type: ignore[attr-defined]
    ours.set_timesteps(sigmas=sigmas)
    torch.testing.assert_close(ours.sigmas, theirs.sigmas, atol=1e-6, rtol=1e-5)
    one_step = tiny.sampler.model_copy(update={"num_steps": 1})
    assert bool(torch.isfinite(family.sample(TEXTS, SEEDS, one_step, tiny.shape)).all())
    again = family.make_scheduler(tiny.sampler)  # type: ignore[attr-defined]
    assert again.config.shift_terminal == 0.1, "one short clip must not change the schedule of those after it"


def test_text_states_lead_to_a_file_and_back(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    states = TextStates(torch.randn(3, 4, 2), torch.tensor([[True] * 4] * 3), torch.randn(3, 5))
    save_file(states.tensors(), tmp_path / "texts.safetensors")
    back = TextStates.of(load_file(tmp_path / "texts.safetensors"))
    assert all(torch.equal(value, back.tensors()[name]) for name, value in states.tensors().items())
    empty = TextStates(torch.zeros(1, 4, 2), torch.tensor([[False] * 4]), torch.zeros(1, 5))
    dropped = states.replaced(torch.tensor([False, True, False]), empty)
    assert float(dropped.states_BLD[1].abs().max()) == 0.0 and not bool(dropped.mask_BL[1].any())  # type: ignore[index]
    assert torch.equal(dropped.pooled_BP[2], states.pooled_BP[2])  # type: ignore[index]
