"""What a recipe takes, before and while it runs: counts of each kind of work times prices, with memory and disk.

The command line, the status and the report read it. It knows recipes, models' sizes and the store, and no stage.
"""
