"""Measure and compare: independent measurements of both models -> gains with intervals, drift, the scorecard.

`bootstrap` (intervals), `pairs` (same prompt and seed), `compare` (the scorecard), `drift` (what should not wander),
`agreement` (judge against measurer), `sandbox` (the perception measurer as a role). Import from these modules: some
need numpy, and nothing is imported here, so that the command line stays quick.
"""
