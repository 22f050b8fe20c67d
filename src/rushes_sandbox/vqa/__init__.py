"""The sandbox's judge: a small learned model that answers questions about a clip.

Its training is in `lab/judge` and ships with no wheel; it never reads the ground truth or the measurer.
"""
