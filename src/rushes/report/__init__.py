"""The stage that compares and reports: one self-contained HTML page, the scorecard as JSON, a table for the terminal.

The pipeline ends with it and packages add sections to it; it computes no statistic of its own.
"""
