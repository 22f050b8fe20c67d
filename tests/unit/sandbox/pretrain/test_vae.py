"""The decoder's own steps leave the encoder, and so all latents, as they are."""

from __future__ import annotations

from pathlib import Path

import torch

from lab.pretrain.vae import VaeSpec, train_vae


def test_decoder_steps_change_the_decoder_alone(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    stages = ((1, 1, 1),)
    before = train_vae(tmp_path, VaeSpec(stages=stages, num_decoder_steps=0), lambda _: None)
    kept = {name: value.clone() for name, value in before.state_dict().items()}
    after = train_vae(tmp_path, VaeSpec(stages=stages, num_decoder_steps=2), lambda _: None).state_dict()
    changed = {name.split(".")[0] for name, value in after.items() if not torch.equal(value, kept[name])}
    assert changed == {"decoder", "post_quant_conv"}
