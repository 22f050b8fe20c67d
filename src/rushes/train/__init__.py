"""The train stage: weighted samples become a checkpoint, by named loss terms, resumable at every step.

The pipeline calls it. It knows families and the store, but neither judge nor measurer.
"""
