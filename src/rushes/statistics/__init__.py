"""How sure a comparison is: estimates with intervals, tests, corrections, the decision rule, and what can be seen.

Pure functions on numbers, for the scorecards, the diagnosis, the audit and the lab. They know no clip, prompt or model:
whoever calls says which values belong together, as clusters. See docs/design/007-one-decision-rule.md.
"""
