"""What differs between model families: text encoding, latents, sampling, prediction, one small adapter each.

Generating, training and export use only a loaded `Family`; it knows no stage.
"""
