"""The watch: training in parts, each followed by a look at the model; alarms, early stop, and which checkpoint to keep.

The pipeline calls it in place of the train stage if the recipe has `watch`. It knows the stages that it is made of, and
nothing of the comparison or the report.
"""
