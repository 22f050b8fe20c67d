"""What prompts about coloured shapes state: things, motion and the camera, as facts; and which no clip can show.

The sandbox's prompt writer and real clips bring it (`rushes.prompts.reader`). It reads words and never pixels.
"""
