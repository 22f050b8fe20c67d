"""Judges of two dimensions that are no question-answering models: a point tracker and a detector.

Recipes name their Specs. They share trackers, detectors and rules with the measurer in `rushes_vbench.metrics`, so a
recipe that judges and measures with the same one is refused.
"""
