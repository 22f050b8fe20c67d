"""Caches of sampling through diffusers: put into a pipeline's transformer for one call, and taken out again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from rushes.records import SamplerSettings
from rushes.records.caches import (
    READS_BATCH,
    FirstBlockCache,
    MagCache,
    SamplerCache,
    SeaCache,
    TaylorSeerCache,
)

_LAYERS: Final = [r"(single_)?(transformer_)?blocks\.\d+\.(attn\d?|ffn?|ff_context)"]
"""Names of attention and feed-forward layers in every family: the defaults of diffusers match HunyuanVideo's alone."""


def samples_one_by_one(sampler: SamplerSettings) -> bool:
    """Whether clips must be sampled one by one, because a clip would otherwise depend on the others in its batch."""
    return isinstance(sampler.cache, READS_BATCH)


@contextmanager
def cached(pipeline: Any, sampler: SamplerSettings) -> Iterator[None]:
    """A context in which a pipeline samples with the cache of a sampler; afterwards its transformer is as before."""
    if sampler.cache is None:
        yield
        return
    pipeline.transformer.enable_cache(_config(pipeline, sampler.cache, sampler.num_steps))
    try:
        yield
    finally:
        pipeline.transformer.disable_cache()


def _config(pipeline: Any, cache: SamplerCache, num_steps: int) -> Any:
    """The cache as diffusers takes it."""
    import torch
    from diffusers import hooks

    if isinstance(cache, FirstBlockCache):
        return hooks.FirstBlockCacheConfig(threshold=cache.threshold)
    if isinstance(cache, SeaCache):
        return hooks.SeaCacheConfig(
            threshold=cache.threshold,
            residual_order=cache.order,
            retention_steps=cache.num_first,
            cache_end_steps=cache.num_last,
            max_consecutive_cached=cache.max_skipped,
        )
    if isinstance(cache, TaylorSeerCache):
        return hooks.TaylorSeerCacheConfig(
            cache_interval=cache.interval,
            disable_cache_before_step=cache.num_first,
            max_order=cache.order,
            taylor_factors_dtype=torch.float32,
            cache_identifiers=_LAYERS,
        )
    if isinstance(cache, MagCache):
        return hooks.MagCacheConfig(
            threshold=cache.threshold,
            max_skip_steps=cache.max_skipped,
            retention_ratio=cache.retained,
            num_inference_steps=num_steps,
            mag_ratios=list(cache.ratios),
        )
    low, high = cache.timesteps
    return hooks.PyramidAttentionBroadcastConfig(
        spatial_attention_block_skip_range=cache.every,
        spatial_attention_timestep_skip_range=(low, high),
        current_timestep_callback=lambda: pipeline.current_timestep,
    )
