"""VBench-2.0: its dimensions, the prompts of the user's copy, own scoring, and exchange with the official tool.

A plug-in like anybody's: recipes name its Specs, the command line and the report find it by entry points, and the core
does not know it.
"""
