"""What differs between model families: text encoding, latents, sampling, prediction, one small adapter each.

Generating, training and export ask a loaded `Family` and nothing else; it knows no stage.
"""
