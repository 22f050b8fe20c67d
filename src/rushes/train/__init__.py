"""The stage that trains: weighted samples become a checkpoint, by named loss terms, step by step resumable.

The pipeline calls it; it knows families and the store, and neither judge nor measurer.
"""
