"""The prompts stage: evaluation prompts, weakness prompts and captions of real clips, written and screened.

The pipeline calls it. It knows language models and the store, but neither a model's clips nor scores.
"""
