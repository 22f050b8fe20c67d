"""The judge audit: tests a judge on clips that are known to be wrong, before its scores are used in training.

The command line runs it and the report shows it; it knows the judge and the store, and no pipeline.
"""
