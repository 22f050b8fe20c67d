"""Judges how dark a clip is, and trains on the best takes of each prompt only."""
