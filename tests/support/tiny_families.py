"""Every family in a size for tests: its real classes from their configs, random weights, seconds to build."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers.pipelines.ltx2 import LTX2TextConnectors, LTX2Vocoder
from transformers import (
    ByT5Tokenizer,
    CLIPTextConfig,
    CLIPTextModel,
    Gemma2Config,
    Gemma2Model,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    LlamaConfig,
    LlamaModel,
    Qwen2_5_VLTextConfig,
    Qwen2_5_VLTextModel,
    T5Config,
    T5EncoderModel,
    UMT5Config,
    UMT5EncoderModel,
)

from rushes.recipe.base import BaseModelSpec, ShapeSpec
from rushes.records import SamplerSettings
from tests.support.tiny_wan import make_tiny_wan, tiny_tokenizer

CHANNELS, TEXT_WIDTH = 4, 16
STATISTICS = {"latents_mean": [0.23, -0.51, 0.117, 0.0], "latents_std": [1.9, 0.47, 1.0, 3.3]}
"""No powers of two, so that another order of multiplying and dividing than the pipeline's would show."""


@dataclass(frozen=True)
class TinyFamily:
    """How to make one, and what it is run with."""

    family: str
    make: Callable[[], Any]
    """The pipeline."""
    sampler: SamplerSettings
    shape: ShapeSpec
    max_tokens: int

    def save(self, folder: Path) -> Path:
        """As a diffusers folder; the same weights every time."""
        torch.manual_seed(0)
        pipeline = self.make()
        for part in pipeline.components.values():
            if isinstance(part, torch.nn.Module):
                part.eval()
        pipeline.save_pretrained(str(folder))
        return folder

    def base(self, folder: Path) -> BaseModelSpec:
        """The recipe's entry for it."""
        return BaseModelSpec(family=self.family, model=str(folder), max_tokens=self.max_tokens)  # type: ignore[arg-type]


def _t5() -> T5EncoderModel:
    size = {"d_model": TEXT_WIDTH, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    return T5EncoderModel(T5Config(vocab_size=len(tiny_tokenizer()), **size))  # type: ignore[arg-type]


def make_wan() -> diffusers.WanPipeline:
    """Wan2.1: one timestep per clip, an autoencoder of pixels that shrinks by 8, statistics that are not trivial."""
    return _wan(is_ti2v=False)


def make_ti2v() -> diffusers.WanPipeline:
    """Wan2.2 TI2V: one timestep per patch, a residual autoencoder of patches that shrinks by 16."""
    return _wan(is_ti2v=True)


def make_a14b() -> diffusers.WanPipeline:
    """Wan2.2 T2V-A14B: a transformer for high noise and one for low, and the boundary between them."""
    return _wan(is_ti2v=False, boundary_ratio=0.875)


def _wan(*, is_ti2v: bool, boundary_ratio: float | None = None) -> diffusers.WanPipeline:
    patches = {"is_residual": True, "patch_size": 2, "in_channels": 12, "out_channels": 12, "scale_factor_spatial": 16}
    size = {"d_model": TEXT_WIDTH, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    return diffusers.WanPipeline(
        tokenizer=tiny_tokenizer(),
        text_encoder=UMT5EncoderModel(UMT5Config(vocab_size=len(tiny_tokenizer()), **size)),  # type: ignore[arg-type]
        vae=diffusers.AutoencoderKLWan(
            base_dim=8,
            z_dim=CHANNELS,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
            temperal_downsample=[False, True, True],
            **(patches if is_ti2v else {}),
            **STATISTICS,
        ),
        scheduler=diffusers.UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0, num_train_timesteps=1000
        ),
        transformer=_wan_transformer(),
        transformer_2=None if boundary_ratio is None else _wan_transformer(),
        boundary_ratio=boundary_ratio,
        expand_timesteps=is_ti2v,
    )


def _wan_transformer() -> diffusers.WanTransformer3DModel:
    return diffusers.WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        text_dim=TEXT_WIDTH,
        freq_dim=16,
        ffn_dim=32,
        num_layers=1,
        rope_max_seq_len=32,
    )


def make_cogvideox(**changes: Any) -> diffusers.CogVideoXPipeline:
    """CogVideoX 2B with fixed positions; `changes` of the transformer's config make it a 5B or a 1.5."""
    config = {
        "num_attention_heads": 2,
        "attention_head_dim": 16,
        "in_channels": CHANNELS,
        "out_channels": CHANNELS,
        "time_embed_dim": 16,
        "text_embed_dim": TEXT_WIDTH,
        "num_layers": 1,
        "sample_width": 4,
        "sample_height": 4,
        "sample_frames": 9,
        "max_text_seq_length": 16,
    }
    return diffusers.CogVideoXPipeline(
        tokenizer=tiny_tokenizer(),
        text_encoder=_t5(),
        vae=diffusers.AutoencoderKLCogVideoX(
            block_out_channels=(8, 8, 8, 8), latent_channels=CHANNELS, layers_per_block=1, norm_num_groups=2
        ),
        scheduler=diffusers.CogVideoXDDIMScheduler(
            beta_schedule="scaled_linear",
            prediction_type="v_prediction",
            rescale_betas_zero_snr=True,
            snr_shift_scale=1.0,
            timestep_spacing="trailing",
        ),
        transformer=diffusers.CogVideoXTransformer3DModel(**config | changes),
    )


def make_hunyuan() -> diffusers.HunyuanVideoPipeline:
    words = len(tiny_tokenizer())  # type: ignore[arg-type]
    size = {"hidden_size": TEXT_WIDTH, "intermediate_size": 16, "num_attention_heads": 2}
    llama = LlamaConfig(vocab_size=words, num_hidden_layers=3, num_key_value_heads=2, **size)
    clip = CLIPTextConfig(vocab_size=words, num_hidden_layers=1, eos_token_id=1, bos_token_id=0, pad_token_id=0, **size)
    return diffusers.HunyuanVideoPipeline(
        tokenizer=tiny_tokenizer(),
        text_encoder=LlamaModel(llama),
        tokenizer_2=tiny_tokenizer(),
        text_encoder_2=CLIPTextModel(clip),
        vae=diffusers.AutoencoderKLHunyuanVideo(
            block_out_channels=(8, 8, 8, 8), latent_channels=CHANNELS, layers_per_block=1, norm_num_groups=2
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0),
        transformer=diffusers.HunyuanVideoTransformer3DModel(
            in_channels=CHANNELS,
            out_channels=CHANNELS,
            num_attention_heads=2,
            attention_head_dim=16,
            num_layers=1,
            num_single_layers=1,
            num_refiner_layers=1,
            text_embed_dim=TEXT_WIDTH,
            pooled_projection_dim=TEXT_WIDTH,
            rope_axes_dim=(4, 6, 6),
        ),
    )


def make_hunyuan15() -> diffusers.HunyuanVideo15Pipeline:
    """HunyuanVideo 1.5; the template's 108 tokens before the prompt, and its last one, mean nothing."""
    tokenizer = copy.deepcopy(tiny_tokenizer())
    tokenizer.chat_template = "{% for _ in range(108) %}a {% endfor %}{{ messages[1]['content'] }} up"  # type: ignore[attr-defined]
    size = {"hidden_size": TEXT_WIDTH, "intermediate_size": 16, "num_attention_heads": 2, "num_key_value_heads": 1}
    qwen = Qwen2_5_VLTextConfig(
        vocab_size=len(tokenizer),  # type: ignore[arg-type]
        num_hidden_layers=3,
        rope_parameters={"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0},
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=0,
        **size,
    )
    byt5 = T5Config(vocab_size=384, d_model=TEXT_WIDTH, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    return diffusers.HunyuanVideo15Pipeline(
        tokenizer=tokenizer,
        text_encoder=Qwen2_5_VLTextModel(qwen),
        tokenizer_2=ByT5Tokenizer(),
        text_encoder_2=T5EncoderModel(byt5),
        vae=diffusers.AutoencoderKLHunyuanVideo15(
            latent_channels=CHANNELS,
            block_out_channels=(8, 8, 8, 16),
            layers_per_block=1,
            spatial_compression_ratio=8,
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=5.0),
        guider=diffusers.ClassifierFreeGuidance(guidance_scale=6.0),
        transformer=diffusers.HunyuanVideo15Transformer3DModel(
            in_channels=2 * CHANNELS + 1,
            out_channels=CHANNELS,
            num_attention_heads=2,
            attention_head_dim=16,
            num_layers=1,
            num_refiner_layers=1,
            text_embed_dim=TEXT_WIDTH,
            text_embed_2_dim=TEXT_WIDTH,
            image_embed_dim=8,
            rope_axes_dim=(4, 6, 6),
            task_type="t2v",
        ),
    )


def make_ltx(*, timestep_conditioning: bool = False) -> diffusers.LTXPipeline:
    """LTX-Video; with `timestep_conditioning` its autoencoder decodes as those from 0.9.1 on do."""
    vae = diffusers.AutoencoderKLLTXVideo(
        latent_channels=CHANNELS,
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1, 1),
        spatio_temporal_scaling=(True, True, False, False),
        decoder_spatio_temporal_scaling=(True, True, False, False),
        decoder_inject_noise=(timestep_conditioning,) * 5,
        timestep_conditioning=timestep_conditioning,
        patch_size=2,
        scaling_factor=1.0,
    )
    vae.latents_mean.copy_(torch.tensor(STATISTICS["latents_mean"]))
    vae.latents_std.copy_(torch.tensor(STATISTICS["latents_std"]))
    return diffusers.LTXPipeline(
        tokenizer=tiny_tokenizer(),
        text_encoder=_t5(),
        vae=vae,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True,
            base_shift=0.95,
            max_shift=2.05,
            base_image_seq_len=1024,
            max_image_seq_len=4096,
            shift_terminal=0.1,
        ),
        transformer=diffusers.LTXVideoTransformer3DModel(
            in_channels=CHANNELS,
            out_channels=CHANNELS,
            patch_size=1,
            patch_size_t=1,
            num_attention_heads=2,
            attention_head_dim=16,
            cross_attention_dim=32,
            num_layers=1,
            caption_channels=TEXT_WIDTH,
        ),
    )


def _wan_autoencoder() -> diffusers.AutoencoderKLWan:
    return diffusers.AutoencoderKLWan(
        base_dim=8,
        z_dim=CHANNELS,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        **STATISTICS,
    )


def _ltx2_autoencoder() -> diffusers.AutoencoderKLLTX2Video:
    vae = diffusers.AutoencoderKLLTX2Video(
        latent_channels=CHANNELS,
        block_out_channels=(8, 8),
        down_block_types=("LTX2VideoDownBlock3D",) * 2,
        decoder_block_out_channels=(8, 8),
        layers_per_block=(1, 1, 1),
        decoder_layers_per_block=(1, 1, 1),
        spatio_temporal_scaling=(True, True),
        decoder_spatio_temporal_scaling=(True, True),
        decoder_inject_noise=(False,) * 3,
        downsample_type=("spatiotemporal",) * 2,
        upsample_type=("spatiotemporal",) * 2,
        upsample_residual=(True, True),
        upsample_factor=(1, 1),
        patch_size=2,
        spatial_compression_ratio=8,
        temporal_compression_ratio=4,
    )
    vae.latents_mean.copy_(torch.tensor(STATISTICS["latents_mean"]))
    vae.latents_std.copy_(torch.tensor(STATISTICS["latents_std"]))
    return vae


def make_sana_video(*, is_720p: bool = False) -> diffusers.SanaVideoPipeline:
    """SANA-Video: patches of 2 x 2 on Wan's autoencoder, or at 720p of one latent on LTX-2's."""
    size = {"hidden_size": TEXT_WIDTH, "intermediate_size": 16, "num_attention_heads": 2, "num_key_value_heads": 1}
    gemma = Gemma2Config(vocab_size=len(tiny_tokenizer()), num_hidden_layers=1, head_dim=8, **size)  # type: ignore[arg-type]
    return diffusers.SanaVideoPipeline(
        tokenizer=tiny_tokenizer(),
        text_encoder=Gemma2Model(gemma),
        vae=_ltx2_autoencoder() if is_720p else _wan_autoencoder(),
        scheduler=diffusers.DPMSolverMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=8.0
        ),
        transformer=diffusers.SanaVideoTransformer3DModel(
            in_channels=CHANNELS,
            out_channels=CHANNELS,
            num_attention_heads=2,
            attention_head_dim=12,
            num_layers=1,
            num_cross_attention_heads=2,
            cross_attention_head_dim=12,
            cross_attention_dim=24,
            caption_channels=TEXT_WIDTH,
            mlp_ratio=3.0,
            sample_size=22 if is_720p else 30,
            patch_size=(1, 1, 1) if is_720p else (1, 2, 2),
            rope_max_seq_len=32,
        ),
    )


def make_ltx2() -> diffusers.LTX2Pipeline:
    """LTX-2: video and sound, both as small as they can be."""
    size = {"hidden_size": TEXT_WIDTH, "intermediate_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2}
    words = len(tiny_tokenizer())  # type: ignore[arg-type]
    gemma = Gemma3Config(
        text_config={**size, "vocab_size": words, "num_key_value_heads": 1, "head_dim": 8},
        vision_config={**size, "image_size": 28, "patch_size": 14},
        mm_tokens_per_image=4,
    )
    heads = {"attention_head_dim": 8, "num_attention_heads": 2, "num_layers": 1, "num_learnable_registers": 8}
    return diffusers.LTX2Pipeline(
        tokenizer=copy.deepcopy(tiny_tokenizer()),
        text_encoder=Gemma3ForConditionalGeneration(gemma),
        connectors=LTX2TextConnectors(
            caption_channels=TEXT_WIDTH,
            text_proj_in_factor=3,
            **{f"{half}_connector_{name}": value for half in ("video", "audio") for name, value in heads.items()},
        ),
        vae=_ltx2_autoencoder(),
        audio_vae=diffusers.AutoencoderKLLTX2Audio(
            base_channels=4, ch_mult=(1,), num_res_blocks=1, resolution=32, latent_channels=2, mel_bins=8
        ),
        vocoder=LTX2Vocoder(
            in_channels=16,
            hidden_channels=8,
            upsample_kernel_sizes=[4, 4],
            upsample_factors=[2, 2],
            resnet_kernel_sizes=[3],
            resnet_dilations=[[1, 3, 5]],
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True,
            base_shift=0.95,
            max_shift=2.05,
            base_image_seq_len=1024,
            max_image_seq_len=4096,
            shift_terminal=0.1,
        ),
        transformer=diffusers.LTX2VideoTransformer3DModel(
            in_channels=CHANNELS,
            out_channels=CHANNELS,
            num_attention_heads=2,
            attention_head_dim=16,
            cross_attention_dim=32,
            vae_scale_factors=(4, 8, 8),
            audio_in_channels=4,
            audio_out_channels=4,
            audio_num_attention_heads=2,
            audio_attention_head_dim=8,
            audio_cross_attention_dim=16,
            num_layers=1,
            caption_channels=TEXT_WIDTH,
        ),
    )


def _sampler(scheduler: str, *, guidance: float = 3.0, shift: float = 2.0, negative: str = "") -> SamplerSettings:
    return SamplerSettings(
        num_steps=2, guidance_scale=guidance, shift=shift, scheduler=scheduler, negative_prompt=negative
    )


_SHORT = ShapeSpec(height_px=32, width_px=32, num_frames=5, fps=8)
_LONG = ShapeSpec(height_px=32, width_px=32, num_frames=9, fps=8)
_EULER = "FlowMatchEulerDiscreteScheduler"
_ROTARY = {"use_rotary_positional_embeddings": True}

TINY: dict[str, TinyFamily] = {
    "wan-2.1": TinyFamily("wan", make_wan, _sampler("UniPCMultistepScheduler"), _SHORT, 16),
    "wan-a14b": TinyFamily("wan", make_a14b, _sampler("UniPCMultistepScheduler"), _SHORT, 16),
    "wan-ti2v": TinyFamily("wan", make_ti2v, _sampler("UniPCMultistepScheduler"), _SHORT, 16),
    "cogvideox-2b": TinyFamily("cogvideox", make_cogvideox, _sampler("CogVideoXDDIMScheduler", shift=1), _LONG, 16),
    "cogvideox-5b": TinyFamily(
        "cogvideox", lambda: make_cogvideox(**_ROTARY), _sampler("CogVideoXDPMScheduler", shift=1), _LONG, 16
    ),
    "cogvideox-1.5": TinyFamily(
        "cogvideox",
        lambda: make_cogvideox(**_ROTARY, patch_size_t=2, patch_bias=False, sample_height=8, sample_width=8),
        _sampler("CogVideoXDDIMScheduler", shift=1),
        _LONG,
        16,
    ),
    "hunyuan": TinyFamily("hunyuan", make_hunyuan, _sampler(_EULER, guidance=6, shift=7), _SHORT, 96),
    "ltx": TinyFamily("ltx", make_ltx, _sampler(_EULER), _LONG, 16),
    "ltx-2": TinyFamily("ltx2", make_ltx2, _sampler(_EULER, negative="blurry"), _LONG, 16),
    "hunyuan-1.5": TinyFamily(
        "hunyuan15", make_hunyuan15, _sampler(_EULER, guidance=6, shift=5, negative="blurry"), _SHORT, 16
    ),
    "sana-video": TinyFamily(
        "sana_video", make_sana_video, _sampler("DPMSolverMultistepScheduler", negative="blurry"), _SHORT, 16
    ),
    "sana-video-720p": TinyFamily(
        "sana_video", lambda: make_sana_video(is_720p=True), _sampler("UniPCMultistepScheduler"), _SHORT, 16
    ),
    "ltx-0.9.1": TinyFamily("ltx", lambda: make_ltx(timestep_conditioning=True), _sampler(_EULER), _LONG, 16),
}
"""By name. `make_tiny_wan` is the sandbox's kind of Wan, smaller and with statistics that change nothing."""

__all__ = ["TINY", "TinyFamily", "make_tiny_wan"]
