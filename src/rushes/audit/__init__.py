"""The judge audit: what a judge answers about clips that are known to be wrong, before its scores are trained on.

The command line runs it and the report shows it; it knows the judge and the store, and no pipeline.
"""
