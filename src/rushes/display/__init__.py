"""How numbers, names and small pictures are shown to people: one verdict sentence, rounded numbers, safe SVG.

The report, the audit, model cards and the command line use it; it knows records and computes nothing.
"""
