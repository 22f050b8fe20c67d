"""VBench-2.0: its dimensions, prompts from the user's copy, its own scoring, and exchange with the official tool.

It is an ordinary plug-in: recipes name its Specs, the command line and the report find it by entry points, and the core
does not know it.
"""
