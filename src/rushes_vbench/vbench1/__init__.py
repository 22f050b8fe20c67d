"""VBench-1: results of the first benchmark's sixteen dimensions, read and shown apart from those of VBench-2.0.

The command line and the report use it. It measures nothing, and shares no dimension and no total with VBench-2.0.
"""
