"""The compare stage, and the report: one HTML page after each stage and at the end, and all pairs as files beside it.

The pipeline ends with it and packages add sections to it. It computes no statistics itself.
"""
