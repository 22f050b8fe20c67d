"""Where work runs: this process or a cluster, with progress shown and Ctrl-C understood."""

from rushes.execute.local import Lazily, LocalExecutor
from rushes.execute.progress import OnProgress, ProgressDisplay, ProgressUpdate, duration_text
from rushes.execute.stop import StopSignal

__all__ = ["Lazily", "LocalExecutor", "OnProgress", "ProgressDisplay", "ProgressUpdate", "StopSignal", "duration_text"]
