"""The train stage: weighted samples become a checkpoint (`stage.train_round`), in one process or in several.

The pipeline calls it. It knows families, recipe and store, and neither judge nor measurer.
"""
