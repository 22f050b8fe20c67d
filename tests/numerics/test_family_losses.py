"""Our training loss against each family's own, computed anew in a few lines through its own diffusers scheduler.

What is compared is everything between a clip's latents and the number that is minimised: the noisy latents, the
timestep, the call of the transformer with all its inputs, the target, and the weight by noise level.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from rushes.families.family import Conditions, Family
from rushes.families.load import load_family
from rushes.recipe.train import RealismSpec, TrainSpec
from rushes.train.batch import FlowBatch
from rushes.train.data import Step
from rushes.train.network import make_network
from rushes.train.objective import TrainingLoss
from rushes.train.objectives import build_objective
from tests.support.tiny_families import TINY

TEXTS = ["a red circle moves up", 'a "blue" square', "a green cross"]
TIMESTEPS = [20, 500, 999]
"""Whole numbers, as CogVideoX's schedule has them; in the middle of whose interval sigma is taken."""
WEIGHTS = torch.tensor([0.5, 2.0, 1.0])
GUIDANCE, FPS = 6.0, 8.0


def ours(family: Family, z_0: Tensor, epsilon: Tensor, sigma_B: Tensor) -> float:
    """The term `weighted_flow` of a batch of own clips."""
    spec = TrainSpec(realism=RealismSpec(kind="none"), precision="float32")
    conditions = Conditions(fps=FPS, guidance=GUIDANCE)
    network = make_network(family, None, None, autocast=False, conditions=conditions)
    batch = FlowBatch(
        z_0_BCTHW=z_0,
        epsilon_BCTHW=epsilon,
        sigma_B=sigma_B,
        text=family.encode_text(TEXTS),
        weight_B=WEIGHTS,
        is_real_B=torch.zeros(3, dtype=torch.bool),
    )
    nothing = torch.zeros(z_0.shape[1:3])
    objective = TrainingLoss(spec, build_objective(spec), None, nothing, nothing, family.path)
    with torch.no_grad():
        return float(objective.terms(network.velocity, Step(batch)).total())


def flow_loss(family: Family, z_0: Tensor, epsilon: Tensor, sigma_B: Tensor) -> float:
    """|| u(z_t, t) - (epsilon - z_0) ||^2 with z_t from FlowMatchEulerDiscreteScheduler.scale_noise."""
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
    scheduler.sigmas, scheduler.timesteps = sigma_B, sigma_B * 1000
    z_t = scheduler.scale_noise(z_0, scheduler.timesteps, epsilon)
    with torch.no_grad():
        u = CALLS[family.name](family, z_t, scheduler.timesteps)
    return float((WEIGHTS * (u - (epsilon - z_0)).square().flatten(1).mean(1)).mean())


def cogvideox_loss(family: Family, z_0: Tensor, epsilon: Tensor, timesteps: Tensor) -> float:
    """The loss of diffusers' CogVideoX fine-tuning script: clean latents, SNR weighting 1 / (1 - alpha_bar)."""
    pipe, scheduler = family.pipeline, family.pipeline.scheduler
    model_input, noise = z_0.permute(0, 2, 1, 3, 4), epsilon.permute(0, 2, 1, 3, 4)
    noisy = scheduler.add_noise(model_input, noise, timesteps)
    rotary = None
    if pipe.transformer.config.use_rotary_positional_embeddings:
        rotary = pipe._prepare_rotary_positional_embeddings(32, 32, model_input.shape[1], "cpu")
    with torch.no_grad():
        embeds = pipe.encode_prompt(TEXTS, do_classifier_free_guidance=False, max_sequence_length=16)[0]
        output = pipe.transformer(noisy, embeds, timesteps, image_rotary_emb=rotary, return_dict=False)[0]
    predicted = scheduler.get_velocity(output, noisy, timesteps)
    weights = 1 / (1 - scheduler.alphas_cumprod[timesteps].float())
    errors = (predicted - model_input).square().flatten(1).mean(1)
    return float((WEIGHTS * weights * errors).mean())


def call_wan(family: Family, z_t: Tensor, timestep: Tensor) -> Tensor:
    pipe = family.pipeline
    embeds = pipe.encode_prompt(TEXTS, do_classifier_free_guidance=False, max_sequence_length=16)[0]
    if pipe.config.expand_timesteps:
        mask = torch.ones(z_t.shape[2:])[:, ::2, ::2]
        timestep = torch.stack([(mask * t).flatten() for t in timestep])
    result: Tensor = pipe.transformer(
        hidden_states=z_t, timestep=timestep, encoder_hidden_states=embeds, return_dict=False
    )[0]
    return result


def call_hunyuan(family: Family, z_t: Tensor, timestep: Tensor) -> Tensor:
    pipe = family.pipeline
    embeds, pooled, mask = pipe.encode_prompt(TEXTS, max_sequence_length=96)
    result: Tensor = pipe.transformer(
        hidden_states=z_t,
        timestep=timestep,
        encoder_hidden_states=embeds,
        encoder_attention_mask=mask.float(),
        pooled_projections=pooled,
        guidance=torch.tensor([GUIDANCE] * 3) * 1000.0,
        return_dict=False,
    )[0]
    return result


def call_ltx(family: Family, z_t: Tensor, timestep: Tensor) -> Tensor:
    pipe = family.pipeline
    embeds, mask, _, _ = pipe.encode_prompt(TEXTS, do_classifier_free_guidance=False, max_sequence_length=16)
    _, _, t, h, w = z_t.shape
    packed: Any = pipe.transformer(
        hidden_states=z_t.flatten(2).transpose(1, 2),
        encoder_hidden_states=embeds,
        timestep=timestep,
        encoder_attention_mask=mask,
        num_frames=t,
        height=h,
        width=w,
        rope_interpolation_scale=(4 / FPS, 8, 8),
        return_dict=False,
    )[0]
    result: Tensor = packed.transpose(1, 2).unflatten(2, (t, h, w))
    return result


def call_sana_video(family: Family, z_t: Tensor, timestep: Tensor) -> Tensor:
    pipe = family.pipeline
    instruction = inspect.signature(type(pipe).__call__).parameters["complex_human_instruction"].default
    embeds, mask, _, _ = pipe.encode_prompt(
        TEXTS, do_classifier_free_guidance=False, max_sequence_length=16, complex_human_instruction=instruction
    )
    result: Tensor = pipe.transformer(
        z_t, encoder_hidden_states=embeds, encoder_attention_mask=mask, timestep=timestep, return_dict=False
    )[0]
    return result


def call_hunyuan15(family: Family, z_t: Tensor, timestep: Tensor) -> Tensor:
    pipe = family.pipeline
    embeds, mask, embeds_2, mask_2 = pipe.encode_prompt(TEXTS, batch_size=len(TEXTS))
    image, place = pipe.prepare_cond_latents_and_mask(z_t, torch.float32, "cpu")
    result: Tensor = pipe.transformer(
        hidden_states=torch.cat([z_t, image, place], dim=1),
        image_embeds=torch.zeros(len(TEXTS), 729, 8),
        timestep=timestep,
        encoder_hidden_states=embeds,
        encoder_attention_mask=mask,
        encoder_hidden_states_2=embeds_2,
        encoder_attention_mask_2=mask_2,
        return_dict=False,
    )[0]
    return result


def call_ltx2(family: Family, z_t: Tensor, timestep: Tensor) -> Tensor:
    """The video half, with any sound: its own attention to sound is off."""
    pipe = family.pipeline
    embeds, mask, _, _ = pipe.encode_prompt(TEXTS, do_classifier_free_guidance=False, max_sequence_length=16)
    video, sound, mask = pipe.connectors(embeds, mask)
    _, _, t, h, w = z_t.shape
    packed: Any = pipe.transformer(
        hidden_states=z_t.flatten(2).transpose(1, 2),
        audio_hidden_states=torch.randn(3, 7, 4),
        encoder_hidden_states=video,
        audio_encoder_hidden_states=sound,
        timestep=timestep,
        sigma=timestep,
        encoder_attention_mask=mask,
        audio_encoder_attention_mask=mask,
        num_frames=t,
        height=h,
        width=w,
        fps=FPS,
        audio_num_frames=7,
        isolate_modalities=True,
        return_dict=False,
    )[0]
    result: Tensor = packed.transpose(1, 2).unflatten(2, (t, h, w))
    return result


CALLS = {
    "wan": call_wan,
    "hunyuan": call_hunyuan,
    "ltx": call_ltx,
    "sana_video": call_sana_video,
    "hunyuan15": call_hunyuan15,
    "ltx2": call_ltx2,
}


def test_wans_noise_is_that_of_its_own_scheduler(tmp_path: Path) -> None:
    tiny = TINY["wan-2.1"]
    family = load_family(tiny.base(tiny.save(tmp_path)))
    generator = torch.Generator().manual_seed(1)
    z_0, epsilon = (torch.randn((3, *family.latent_shape(tiny.shape)), generator=generator) for _ in range(2))
    scheduler = family.pipeline.scheduler
    scheduler.set_timesteps(20)
    steps = torch.tensor([2, 9, 18])
    z_t = scheduler.add_noise(z_0, epsilon, scheduler.timesteps[steps])
    sigma_B = scheduler.sigmas[steps].float()
    with torch.no_grad():
        u = call_wan(family, z_t, sigma_B * 1000)
    expected = float((WEIGHTS * (u - (epsilon - z_0)).square().flatten(1).mean(1)).mean())
    assert ours(family, z_0, epsilon, sigma_B) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", [name for name in TINY if name != "ltx-0.9.1"])
def test_our_loss_is_the_familys_own(name: str, tmp_path: Path) -> None:
    tiny = TINY[name]
    family = load_family(tiny.base(tiny.save(tmp_path)))
    generator = torch.Generator().manual_seed(1)
    z_0, epsilon = (torch.randn((3, *family.latent_shape(tiny.shape)), generator=generator) for _ in range(2))
    sigma_B = (torch.tensor(TIMESTEPS) + 0.5) / 1000
    if family.name == "cogvideox":
        expected = cogvideox_loss(family, z_0, epsilon, torch.tensor(TIMESTEPS))
    else:
        expected = flow_loss(family, z_0, epsilon, sigma_B)
    assert expected > 0.1
    assert ours(family, z_0, epsilon, sigma_B) == pytest.approx(expected, rel=1e-4)
