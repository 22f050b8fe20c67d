"""What a recipe will take before anything is spent, and how far a run is: one cost model, counts times prices.

Counts come from the recipe or a run's records (`counts`, `totals`), prices from earlier runs (`measured`) or from a
GPU's data sheet (`arithmetic`, `gpus`). The command line, the pipeline and the report use it; it knows the recipe, the
store and the families, and no stage.
"""
