"""A provider that requests are routed to: where exactly they go, and which headers they have there.

Knows that nothing of the client's headers is for another provider: what is sent is made here. Refuses to send it.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ccproxy.protocol.headers import HOP_BY_HOP
from ccproxy.wire import Header, RequestHead

OPENAI, ANTHROPIC = "openai", "anthropic"
CHAT = "/chat/completions"
DEFAULT_VERSION = "/v1"  # where a base URL has no path, as OpenAI's own clients and Ollama's users write it
_AZURE = ".openai.azure.com"
_FRAMING = frozenset({b"host", b"content-length", b"content-encoding"}) | HOP_BY_HOP


@dataclass(frozen=True, slots=True)
class Place:
    """A provider. `format` is openai or anthropic; `headers` are sent with every request, and go before those made here."""

    name: str
    format: str
    base_url: str
    api_key: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    limits: Mapping[str, int] = field(default_factory=dict)
    version: str = "2023-06-01"

    @property
    def host(self) -> str:
        """The host of its address."""
        return urlsplit(self.base_url).hostname or ""

    @property
    def root(self) -> str:
        """The address to which the paths of requests are added: without a query, and without what the paths begin with."""
        parts = urlsplit(self.base_url)
        path = parts.path.rstrip("/")
        chat = self.format == OPENAI
        path = (path.removesuffix(CHAT) or DEFAULT_VERSION) if chat else path.removesuffix("/v1")
        return f"{parts.scheme}://{parts.netloc}{path}"

    def head(self, given: RequestHead) -> RequestHead:
        """Return the request line, without headers, for a request that came with this one.

        To an Anthropic-format provider it is the client's own. Chat Completions have their one path, and the query of the
        provider's address (Azure wants its `api-version` there).
        """
        query = urlsplit(self.base_url).query.encode()
        if self.format == ANTHROPIC:
            return RequestHead(given.method, given.path, b"&".join(filter(None, (given.query, query))), [])
        return RequestHead("POST", CHAT.encode(), query, [])

    def endpoint(self, given: RequestHead) -> str:
        """Return scheme, host and path to which a request goes."""
        return self.root + self.head(given).path.decode("latin-1")

    def header_list(self, body: bytes, *, user_agent: str, stream: bool, accept_encoding: bytes) -> list[Header]:
        """Return the headers for a body. `accept_encoding` is the client's where the answer goes to it as it comes."""
        made = {
            b"content-type": b"application/json",
            b"accept": b"text/event-stream" if stream else b"application/json",
            b"accept-encoding": accept_encoding or b"identity",
            b"user-agent": user_agent.encode(),
        }
        if self.format == ANTHROPIC:
            made[b"anthropic-version"] = self.version.encode()
        if self.api_key:
            name, prefix = self._credential()
            made[name] = prefix + self.api_key.encode()
        own = {name.lower().encode(): value.encode() for name, value in self.headers.items()}
        made |= {name: value for name, value in own.items() if name not in _FRAMING}
        return [*made.items(), (b"content-length", b"%d" % len(body))]

    def _credential(self) -> tuple[bytes, bytes]:
        if self.format == ANTHROPIC:
            return b"x-api-key", b""
        return (b"api-key", b"") if self.host.endswith(_AZURE) else (b"authorization", b"Bearer ")

    def most_tokens(self, model: str) -> int | None:
        """Return the configured limit of a model's answers: under its own name, else under the first pattern that fits."""
        if model in self.limits:
            return self.limits[model]
        return next((most for pattern, most in self.limits.items() if fnmatch.fnmatchcase(model, pattern)), None)
