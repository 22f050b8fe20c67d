"""The compare stage and its report: one self-contained HTML page, the scorecard as JSON, a table for the terminal.

The pipeline ends with it and packages add sections to it. It computes no statistics itself.
"""
