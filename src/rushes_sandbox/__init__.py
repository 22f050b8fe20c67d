"""The sandbox: a small world of coloured shapes with exact ground truth, a model trained on it, a judge and a measurer.

It is an ordinary plug-in: recipes name its Specs, and the core does not know it. Its judge and its measurer share no
code that reads pixels.
"""
