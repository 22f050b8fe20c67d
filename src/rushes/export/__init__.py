"""Tuned weights and clips for other programs: diffusers, ComfyUI, kohya's tools, the Hub, `datasets`.

The command line calls it on a finished run; it writes new folders only and changes nothing in the run.
"""
