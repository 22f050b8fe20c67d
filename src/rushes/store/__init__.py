"""The run folder: records in one SQLite file, content-addressed blobs, work keys, and `advance`, which fills gaps.

Every stage keeps its results here. It knows recipes as values to compare, and no stage and no model.
"""
