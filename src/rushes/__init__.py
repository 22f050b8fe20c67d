"""Rushes makes text-to-video diffusion models better by their own feedback.

This is the core, which knows no world and no benchmark. Start with `pipeline.py`. Nothing is imported here, so that
the command line stays quick.
"""
