"""Fine-tuning: from weighted samples to a checkpoint (`stage.train_round`), in one process or in several.

The pipeline uses it. It knows families, recipe and store; nothing of prompts, judges, measurers or any world.
"""
