"""The independent measurer of the sandbox: it answers questions about a clip from its pixels alone.

It uses no ground truth, no latents and no learned network, and it never gives rewards.
"""

from rushes_sandbox.perception.answer import Unclear, answer
from rushes_sandbox.perception.camera import CameraMotion
from rushes_sandbox.perception.features import diversity, diversity_features
from rushes_sandbox.perception.observe import Observation, perceive
from rushes_sandbox.perception.track import Incident, Track

__all__ = [
    "CameraMotion",
    "Incident",
    "Observation",
    "Track",
    "Unclear",
    "answer",
    "diversity",
    "diversity_features",
    "perceive",
]
