"""Blind votes of people: pairs of a run's clips, what several raters say of them, and what follows from it.

The command line and the web app call it, and it gives the report a section. It reads the run and never writes its
records; what people said is kept in `votes/` of the run folder.
"""
