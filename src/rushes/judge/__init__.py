"""The judge stage: the frozen judge answers questions about clips; answers are checked and graded into scores.

The pipeline, the diagnosis and the report call it; it never loads a measurer and sees no measurement.
"""
