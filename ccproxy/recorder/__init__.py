"""The recorder: puts exchanges on record, frame by frame.

`recording` is one exchange, `limited` one of which not all is to be recorded, `recorder` starts them.
"""

from ccproxy.recorder.recorder import Limits, Recorder
from ccproxy.recorder.recording import Append, Recording

__all__ = ["Append", "Limits", "Recorder", "Recording"]
