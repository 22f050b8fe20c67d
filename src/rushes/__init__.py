"""Rushes improves text-to-video diffusion models by automatic feedback on their own clips.

This is the core, which knows no world and no benchmark. Start with `pipeline.py`. Nothing is imported here, so that
the command line starts fast.
"""
