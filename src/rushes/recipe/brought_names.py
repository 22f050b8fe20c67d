"""Names that settings have in other training tools, and where each is in a recipe: `lr` is `train.learning_rate`.

They are only told, never read: a recipe has one name for a setting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rushes.recipe.yaml_reader import KeyPath

_SAMPLERS: Final = ("generate.sampler", "measure.sampler")

_NAMES: Final[Mapping[str, str]] = {
    "train.learning_rate": "lr learning_rates base_lr peak_lr unet_lr",
    "train.num_epochs": "epoch epochs num_train_epochs max_train_epochs max_epochs",
    "train.num_steps": "steps max_steps train_steps max_train_steps num_train_steps total_steps iterations",
    "train.batch_size": "bs train_batch_size per_device_train_batch_size micro_batch_size micro_batch_size_per_gpu",
    "train.num_accumulation": "gradient_accumulation gradient_accumulation_steps grad_accum accumulate_grad_batches",
    "train.max_grad_norm": "gradient_clipping gradient_clip_val clip_grad grad_clip clip_grad_norm",
    "train.schedule": "lr_schedule lr_scheduler lr_scheduler_type",
    "train.warmup_steps": "warmup lr_warmup lr_warmup_steps num_warmup_steps",
    "train.optimizer": "optim optimizer_type use_8bit_adam",
    "train.ema_decay": "ema use_ema ema_beta",
    "train.caption_drop": "caption_dropout caption_dropout_rate caption_dropout_p cond_dropout",
    "train.precision": "dtype mixed_precision bf16 fp16",
    "train.sigma_density": "timestep_sampling timestep_sample_method weighting_scheme flow_weighting_scheme",
    "train.anchor": "kl kl_beta kl_coef kl_weight",
    "train.checkpoint_every": "save_every save_steps save_every_n_steps checkpoint_steps checkpointing_steps",
    "train.lora.rank": "lora_rank lora_r lora_dim network_dim",
    "train.lora.alpha": "lora_alpha network_alpha",
    "train.shift,generate.sampler.shift": "flow_shift timestep_shift discrete_flow_shift",
    ",".join(f"{each}.guidance_scale" for each in _SAMPLERS): "cfg cfg_scale guidance",
    ",".join(
        f"{each}.num_steps" for each in _SAMPLERS
    ): "num_inference_steps inference_steps sample_steps sampling_steps",
    "generate.num_takes": "num_generations num_samples samples_per_prompt num_videos_per_prompt group_size",
    "judge.judge": "reward reward_fn reward_model reward_type",
    "base.model": "model_name model_path model_id pretrained_model pretrained_model_name_or_path ckpt ckpt_path",
    "base.family": "model_type architecture",
    "shape.height_px": "height",
    "shape.width_px": "width",
    "shape.num_frames": "frames video_length",
    "shape.height_px,shape.width_px": "resolution size image_size video_size",
    "prompts.real.folder": "data dataset dataset_dir dataset_path data_dir data_root train_data_dir instance_data_root",
    "runtime.device": "gpu cuda gpu_id",
    "runtime.offload": "cpu_offload enable_model_cpu_offload low_vram blocks_to_swap",
    "runtime.train.recompute": "gradient_checkpointing activation_checkpointing enable_gradient_checkpointing",
    "runtime.train.attention,runtime.sampling.attention": "attn_mode attn_implementation attention_backend sdpa "
    "flash_attn xformers",
    "runtime.train.compile_blocks,runtime.sampling.compile_blocks": "compile torch_compile",
    "runtime.train.tracker": "report_to log_with logger wandb tensorboard",
    "runtime.train.num_processes": "num_gpus gpus world_size nproc_per_node",
    "runtime.train.parallel": "fsdp ddp deepspeed zero_stage",
    "runtime.train.previews.every": "sample_every sample_every_n_steps validation_steps validation_every eval_steps",
    "runtime.train.previews.prompts": "sample_prompts validation_prompt validation_prompts",
    "watch.keep": "checkpoints_total_limit save_total_limit max_checkpoints",
}
"""Settings of ours, and the names that they have elsewhere."""

_OURS: Final[Mapping[str, tuple[str, ...]]] = {
    name: tuple(ours.split(",")) for ours, names in _NAMES.items() for name in names.split()
}


def settings_for(word: str, above: KeyPath = ()) -> list[KeyPath]:
    """The settings that another tool's name means; empty if none is known.

    Args:
        word: the name, in any case, with `-` or `_`.
        above: the section in which it was written: if one of the settings is there, only that one is meant.
    """
    paths: list[KeyPath] = [tuple(each.split(".")) for each in _OURS.get(_plain(word), ())]
    return [path for path in paths if path[:-1] == tuple(above)] or paths


def done_here_by(word: str) -> str | None:
    """What to do in place of a setting that other tools have and a recipe has not; None if nothing is known."""
    name = _plain(word)
    if name in _names("resume resume_from resume_from_checkpoint resume_training load_checkpoint"):
        return "leave it out: the same command, typed again, continues the run"
    if name in _names("output output_dir output_path out_dir outdir save_dir logging_dir log_dir results_dir"):
        return "leave it out: the run folder is named on the command line, --home runs/x"
    if name in _names("push_to_hub hub_model_id hub_token"):
        return "leave it out: when the run is finished, write the folder to upload with: rushes export hub HOME"
    return None


def as_option(word: str) -> str | None:
    """The `--set` that an option of another tool means (`--lr`), or what to do in its place; None if neither is known.

    Args:
        word: the option, with or without dashes.
    """
    found = settings_for(word)
    return " ".join(f"--set {'.'.join(map(str, path))}=VALUE" for path in found) if found else done_here_by(word)


def _names(words: str) -> Sequence[str]:
    return words.split()


def _plain(word: str) -> str:
    return word.strip().lstrip("-").replace("-", "_").casefold()
