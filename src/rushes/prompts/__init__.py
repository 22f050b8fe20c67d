"""The stage that writes: evaluation prompts, weakness prompts and captions of real clips, written and screened.

The pipeline calls it; it knows language models and the store, and neither clips of a model nor scores.
"""
