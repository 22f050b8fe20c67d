"""The generate stage: which takes of which prompts, from which seeds, by the frozen model, with latents kept.

The pipeline and the measuring stage call it; it knows no judge and no measurer.
"""
