"""`rushes vbench`: exports prompts and clips, imports official results, prints scorecards and power.

The command line finds it through an entry point; it makes thin calls into the package.
"""
