"""The studio (`rushes view`): a local web app over run folders, live while they run.

The command line starts it. It reads the records of runs and writes nothing into them; it knows no pipeline and loads no
model.
"""
