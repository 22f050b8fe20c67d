"""Where work runs: in this process or on a Ray cluster, with progress display, Ctrl-C handling and failures as values.

The store and the stages pass work to it; it knows no stage, no record of a run and no model.
"""

from rushes.execute.display import ProgressDisplay
from rushes.execute.local import Lazily, LocalExecutor
from rushes.execute.progress import OnProgress, ProgressUpdate, duration_text
from rushes.execute.stop import StopSignal

__all__ = ["Lazily", "LocalExecutor", "OnProgress", "ProgressDisplay", "ProgressUpdate", "StopSignal", "duration_text"]
