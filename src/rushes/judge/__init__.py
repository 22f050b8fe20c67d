"""The stage that judges: questions about clips, asked of the frozen judge, answers checked and graded into scores.

The pipeline, the diagnosis and the report call it; it never loads a measurer and sees no measurement.
"""
