"""The measure stage: clips of evaluation prompts, an independent measurer, pairs, drift and the scorecard.

The pipeline and the diagnosis call it; it sees the judge's rewards only to show them beside its own numbers.
"""
