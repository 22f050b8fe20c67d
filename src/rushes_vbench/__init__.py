"""VBench-2.0: its eighteen dimensions as data, its prompts from the user's copy, its files in and out, its statistics.

`catalogue` (facts about each dimension), `suite` (prompts and questions), `names` (file names), `placing`, `export` and
`check` (clips out), `results` (official scores in), `values`, `statistics` and `scorecard` (what they say), `held_out`
(the suite as the held-out prompts of a run), `metrics` (own scoring). Nothing is imported here, so that the command
line stays quick.
"""
