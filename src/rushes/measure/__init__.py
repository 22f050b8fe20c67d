"""The stage that measures: clips of evaluation prompts, an independent measurer, pairs, drift and the scorecard.

The pipeline and the diagnosis call it; it never sees the judge's rewards but to set them beside its own numbers.
"""
