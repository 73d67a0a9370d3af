"""Claude Code's own transcripts: files that it appends to while it works, read here and never written.

`lines` reads a file line by line, `summary` sums a conversation up, `titles` finds what it was about, `growing` remembers how far a
file was read, `places` guards the way to a file, `library` puts them together.
"""

from __future__ import annotations

from ccproxy.transcripts.library import Conversation, Library, Transcript, TranscriptAgent
from ccproxy.transcripts.places import BadNameError, UnknownError

__all__ = ["BadNameError", "Conversation", "Library", "Transcript", "TranscriptAgent", "UnknownError"]
