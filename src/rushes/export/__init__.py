"""Tuned weights and clips for other programs: diffusers, ComfyUI, kohya's tools, the Hub, `datasets`."""
