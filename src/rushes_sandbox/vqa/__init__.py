"""The sandbox's judge: a small learned model that answers questions about a clip.

Its training code is in `lab/judge` and is not shipped; it never reads the ground truth or the measurer.
"""
