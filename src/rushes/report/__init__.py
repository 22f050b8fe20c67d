"""Report: one self-contained HTML page, the scorecard as JSON, and a table for the terminal.

`data` (what a report shows), `examples` (which clips, by rule), `html` (`write_report`), `table` (`print_scorecard`).
"""
