"""What the layers pass to each other about one HTTP exchange.

Knows the shape of a request's and an answer's head. Refuses to know how they were received or will be sent.
"""

from __future__ import annotations

from dataclasses import dataclass

Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request line and its headers as the client sent them. `query` is without its question mark."""

    method: str
    path: bytes
    query: bytes
    headers: list[Header]

    @property
    def target(self) -> bytes:
        """The path and the query, as they stood on the request line."""
        return self.path + b"?" + self.query if self.query else self.path


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """A status and the headers as the provider sent them."""

    status: int
    headers: list[Header]
