"""Clips of any text by the base and by a run's checkpoints, to look at: `rushes sample`.

The command line and the web app call it. It writes records of its own kind beside the run's, and no stage reads them.
"""
