"""Runs that are written down, step by step, played back, and compared."""

from .differing import Difference, first_difference
from .recorder import FORMAT, Recorder, Recording, Step, read_recording
from .replaying import Playback, Replay, replay

__all__ = [
    "FORMAT",
    "Difference",
    "Playback",
    "Recorder",
    "Recording",
    "Replay",
    "Step",
    "first_difference",
    "read_recording",
    "replay",
]
