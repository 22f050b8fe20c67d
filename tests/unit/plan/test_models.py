"""The table of released models against the real classes, built without memory and counted by torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from rushes.plan.models import REAL_MODELS, RealModel
from rushes.recipe.base import ShapeSpec

TOLERANCE = 0.03
"""Share by which counts may differ: embeddings, modulation and projections are not in the formula."""


def counted(do: Callable[[], object]) -> tuple[float, float]:
    """FLOPs of attention, and of everything else."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        do()
    by_kind = counter.get_flop_counts()["Global"]
    attention = sum(n for kind, n in by_kind.items() if "bmm" in str(kind) or "attention" in str(kind))
    return float(attention), float(counter.get_total_flops() - attention)


def wan(heads: int, layers: int, ffn: int, channels: int = 16, expanded: bool = False) -> Any:
    def build(t: int, h: int, w: int) -> tuple[Any, Callable[[], object]]:
        model = diffusers.WanTransformer3DModel(
            num_attention_heads=heads, attention_head_dim=128, num_layers=layers, ffn_dim=ffn, text_dim=4096,
            in_channels=channels, out_channels=channels,
        )  # fmt: skip
        timestep = torch.zeros(1, t * (h // 2) * (w // 2)) if expanded else torch.zeros(1)
        return model, lambda: model(torch.empty(1, channels, t, h, w), timestep, torch.empty(1, 512, 4096))

    return build


def cogvideox(heads: int, layers: int) -> Any:
    def build(t: int, h: int, w: int) -> tuple[Any, Callable[[], object]]:
        model = diffusers.CogVideoXTransformer3DModel(
            num_attention_heads=heads, num_layers=layers, use_rotary_positional_embeddings=True
        )
        angles = torch.empty(t * (h // 2) * (w // 2), 64)
        z, text = torch.empty(1, t, 16, h, w), torch.empty(1, 226, 4096)
        return model, lambda: model(z, text, torch.zeros(1), image_rotary_emb=(angles, angles))

    return build


def hunyuan(t: int, h: int, w: int) -> tuple[Any, Callable[[], object]]:
    model = diffusers.HunyuanVideoTransformer3DModel()
    one = torch.zeros(1)
    text, mask, pooled = torch.empty(1, 256, 4096), torch.ones(1, 256), torch.empty(1, 768)
    return model, lambda: model(torch.empty(1, 16, t, h, w), one, text, mask, pooled, one)


def hunyuan15(t: int, h: int, w: int) -> tuple[Any, Callable[[], object]]:
    """Part by part: its own forward puts the text in order by a mask, of which "meta" tensors have no values."""
    model = diffusers.HunyuanVideo15Transformer3DModel()
    z, timestep = torch.empty(1, 65, t, h, w), torch.zeros(1)

    def forward() -> object:
        temb, video, positions = model.time_embed(timestep), model.x_embedder(z), model.rope(z)
        text = [
            model.context_embedder(torch.empty(1, 1000, 3584), timestep, torch.ones(1, 1000)),
            model.context_embedder_2(torch.empty(1, 256, 1472)),
            model.image_embedder(torch.empty(1, 729, 1152)),
        ]
        words, mask = torch.cat(text, dim=1), torch.ones(1, 1000 + 256 + 729)
        for block in model.transformer_blocks:
            video, words = block(video, words, temb, mask, positions)
        return model.proj_out(model.norm_out(video, temb))

    return model, forward


def ltx(t: int, h: int, w: int) -> tuple[Any, Callable[[], object]]:
    model = diffusers.LTXVideoTransformer3DModel()
    z, text = torch.empty(1, t * h * w, 128), torch.empty(1, 128, 4096)
    mask = torch.ones(1, 128)
    return model, lambda: model(z, text, torch.zeros(1), mask, t, h, w, (1.0, 32.0, 32.0))


def ltx2(t: int, h: int, w: int) -> tuple[Any, Callable[[], object]]:
    """With the sound of a clip of 24 frames a second, as it is sampled."""
    model = diffusers.LTX2VideoTransformer3DModel()
    z, timestep, sound = torch.empty(1, t * h * w, 128), torch.zeros(1), round((8 * t - 7) / 24 * 25)
    text, mask = torch.empty(1, 1024, 3840), torch.ones(1, 1024)
    return model, lambda: model(
        z, torch.empty(1, sound, 128), text, text, timestep, sigma=timestep, encoder_attention_mask=mask,
        audio_encoder_attention_mask=mask, num_frames=t, height=h, width=w, audio_num_frames=sound,
    )  # fmt: skip


def sana_video(channels: int, patch: int) -> Any:
    def build(t: int, h: int, w: int) -> tuple[Any, Callable[[], object]]:
        model = diffusers.SanaVideoTransformer3DModel(
            in_channels=channels, out_channels=channels, mlp_ratio=3.0, patch_size=(1, patch, patch)
        )
        z, text = torch.empty(1, channels, t, h, w), torch.empty(1, 300, 2304)
        return model, lambda: model(z, text, torch.zeros(1), encoder_attention_mask=torch.ones(1, 300))

    return build


CASES = {
    "Wan-AI/Wan2.1-T2V-1.3B-Diffusers": (wan(12, 30, 8960), 512, ShapeSpec(height_px=480, width_px=832, num_frames=81)),
    "Wan-AI/Wan2.1-T2V-14B-Diffusers": (wan(40, 40, 13824), 512, ShapeSpec(height_px=480, width_px=832, num_frames=33)),
    "Wan-AI/Wan2.2-T2V-A14B-Diffusers": (
        wan(40, 40, 13824), 512, ShapeSpec(height_px=480, width_px=832, num_frames=81),
    ),
    "Wan-AI/Wan2.2-TI2V-5B-Diffusers": (
        wan(24, 30, 14336, 48, True), 512, ShapeSpec(height_px=704, width_px=1280, num_frames=121),
    ),
    "zai-org/CogVideoX-2b": (cogvideox(30, 30), 226, ShapeSpec(height_px=480, width_px=720, num_frames=49)),
    "zai-org/CogVideoX-5b": (cogvideox(48, 42), 226, ShapeSpec(height_px=480, width_px=720, num_frames=17)),
    "hunyuanvideo-community/HunyuanVideo": (hunyuan, 256, ShapeSpec(height_px=544, width_px=960, num_frames=65)),
    "Efficient-Large-Model/SANA-Video_2B_480p_diffusers": (
        sana_video(16, 2), 300, ShapeSpec(height_px=480, width_px=832, num_frames=81),
    ),
    "Efficient-Large-Model/SANA-Video_2B_720p_diffusers": (
        sana_video(128, 1), 300, ShapeSpec(height_px=704, width_px=1280, num_frames=81),
    ),
    "hunyuanvideo-community/HunyuanVideo-1.5-Diffusers-480p_t2v": (
        hunyuan15, 1000, ShapeSpec(height_px=480, width_px=848, num_frames=121),
    ),
    "hunyuanvideo-community/HunyuanVideo-1.5-Diffusers-720p_t2v": (
        hunyuan15, 1000, ShapeSpec(height_px=720, width_px=1280, num_frames=61),
    ),
    "Lightricks/LTX-2": (ltx2, 1024, ShapeSpec(height_px=512, width_px=768, num_frames=121)),
    "Lightricks/LTX-Video": (ltx, 128, ShapeSpec(height_px=512, width_px=704, num_frames=161)),
}  # fmt: skip


def test_every_model_of_the_table_is_tested() -> None:
    assert set(CASES) == set(REAL_MODELS)


@pytest.mark.parametrize("name", CASES)
def test_formulas_and_parameters_are_those_of_the_real_classes(name: str) -> None:
    build, num_text, shape = CASES[name]
    model = REAL_MODELS[name]
    grid = model.size.num_latents(shape) // model.size.channels
    temporal, spatial = model.size.compression
    t, h, w = (shape.num_frames - 1) // temporal + 1, shape.height_px // spatial, shape.width_px // spatial
    assert grid == t * h * w
    with torch.device("meta"):
        network, forward = build(t, h, w)
        attention, linear = counted(forward)
    call = model.call(shape, num_text)
    assert model.size.num_transformer == pytest.approx(sum(p.numel() for p in network.parameters()), rel=0.01)
    # The 2B CogVideoX has learned positions, the class is built with rotary ones: no matrix product either way.
    assert call.attention == pytest.approx(attention, rel=TOLERANCE)
    assert call.linear == pytest.approx(linear, rel=TOLERANCE)


AUTOENCODERS: dict[str, tuple[Callable[[], Any], tuple[int, int, int, int]]] = {
    "Wan-AI/Wan2.1-T2V-1.3B-Diffusers": (diffusers.AutoencoderKLWan, (16, 3, 16, 16)),
    "zai-org/CogVideoX-2b": (
        lambda: diffusers.AutoencoderKLCogVideoX(
            down_block_types=("CogVideoXDownBlock3D",) * 4, up_block_types=("CogVideoXUpBlock3D",) * 4,
            block_out_channels=(128, 256, 256, 512), latent_channels=16, layers_per_block=3,
        ), (16, 3, 16, 16),
    ),
    "hunyuanvideo-community/HunyuanVideo": (diffusers.AutoencoderKLHunyuanVideo, (16, 3, 16, 16)),
    "hunyuanvideo-community/HunyuanVideo-1.5-Diffusers-480p_t2v": (
        diffusers.AutoencoderKLHunyuanVideo15, (32, 3, 16, 16),
    ),
    "Lightricks/LTX-Video": (diffusers.AutoencoderKLLTXVideo, (128, 3, 8, 8)),
    "Efficient-Large-Model/SANA-Video_2B_720p_diffusers": (diffusers.AutoencoderKLLTX2Video, (128, 3, 8, 8)),
}  # fmt: skip


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_autoencoders_are_counted_per_pixel(name: str) -> None:
    build, latents = AUTOENCODERS[name]
    model: RealModel = REAL_MODELS[name]
    temporal, spatial = model.size.compression
    shape = ShapeSpec(
        height_px=latents[2] * spatial, width_px=latents[3] * spatial, num_frames=(latents[1] - 1) * temporal + 1
    )
    with torch.device("meta"):
        autoencoder = build()
        video = torch.empty(1, 3, shape.num_frames, shape.height_px, shape.width_px)
        decoding = sum(counted(lambda: autoencoder.decode(torch.empty(1, *latents))))
        encoding = sum(counted(lambda: autoencoder.encode(video)))
    assert model.size.num_autoencoder == pytest.approx(sum(p.numel() for p in autoencoder.parameters()), rel=0.01)
    assert model.decode(shape) == pytest.approx(decoding, rel=TOLERANCE)
    assert model.encode(shape) == pytest.approx(encoding, rel=TOLERANCE)
