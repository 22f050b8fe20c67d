"""`rushes vbench`: prompts and clips out, official results in, scorecards and power.

Found by the command line through an entry point; thin calls into the package.
"""
