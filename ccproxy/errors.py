"""The errors that ccproxy names, each because some code catches it by its name.

Knows whose fault an error is, and promises that its message is one sentence for the person at the terminal. Refuses to
know how that sentence is shown, and which library the trouble came from.
"""

from __future__ import annotations


class ConfigError(Exception):
    """The configuration says something that cannot be: the message is one clear sentence."""


class StoreError(Exception):
    """The store cannot be used: the message is one clear sentence."""


class UpstreamError(Exception):
    """The provider gave no answer, or broke off in it: the message is one clear sentence.

    `kind` is a short word for the cause, `status` what a client that has seen nothing yet is told (502 or 504).
    """

    def __init__(self, message: str, *, kind: str, status: int) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status


class StoreBusyError(StoreError):
    """The store cannot be used right now, and may be in a moment: locked, out of space, out of reach."""


class StoreSweptError(StoreError):
    """What is to be stored builds on a message that a sweep has taken away meanwhile: begin anew from what the store has."""
