"""Every setting of a run as data with a fixed name: read from YAML, checked strictly, written as a commented template.

Every part above may read it. It builds and loads nothing, and knows no implementation of what it names.
"""
