"""Where something listens, as a URL; and that it cannot, as an error of one sentence.

Refuses to know what listens there.
"""

from __future__ import annotations


class ServeError(Exception):
    """Something cannot start: the message is one clear sentence."""


def url_of(host: str, port: int) -> str:
    """Return the URL under which this machine reaches what listens there."""
    if host in ("0.0.0.0", "::", "127.0.0.1", "::1", "localhost"):
        host = "localhost" if host != "::1" else "[::1]"
    elif ":" in host:
        host = f"[{host}]"
    return f"http://{host}:{port}"
