"""The run folder: records in one SQLite file, content-addressed blobs, and `advance`, which makes what is missing."""
