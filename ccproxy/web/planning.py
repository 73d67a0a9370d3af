"""What one request becomes: where it goes, as what, and in which protocol its answer will come.

Without routing that is the client's own request, to the one provider. Puts together what the rules, the router and the
translation say; refuses to send anything, and to know the record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec
from msgspec.structs import replace as replaced

from ccproxy import __version__
from ccproxy.auth import CREDENTIALS, Gate
from ccproxy.ingest.encodings import ContentDecoder
from ccproxy.protocol import headers
from ccproxy.protocol.demotion import ask_for_stream
from ccproxy.protocol.members import with_model
from ccproxy.protocol.openai.dialect import Dialect, dialect_of
from ccproxy.protocol.openai.estimate import estimate_tokens
from ccproxy.protocol.openai.request import ChatRequest, UntranslatableError, to_chat, tool_names
from ccproxy.protocol.parts import take_apart
from ccproxy.records import Sending
from ccproxy.routing.place import OPENAI, Place
from ccproxy.routing.targets import HOME, Target
from ccproxy.upstream import Upstream
from ccproxy.web.answers import json_headers
from ccproxy.web.client import RefusedError
from ccproxy.web.retrying import NO_RETRIES, Retries
from ccproxy.web.routes import COUNT, MESSAGES, Route, Router, aside
from ccproxy.wire import Header, RequestHead

# Host is the provider's own, and what Expect asks for, the server has answered already.
NOT_PASSED = frozenset({b"host", b"expect", b"content-length"})
USER_AGENT = f"ccproxy/{__version__}"
AS_IT_CAME = Sending()
ESTIMATED = (b"x-ccproxy-estimated", b"true")
AN_ESTIMATE = "the count of input tokens is an estimate, since {} has nothing to ask for one"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration says about forwarding. Sizes in bytes (0: no limit), times in seconds (0: for ever)."""

    version: bytes
    max_body: int = 0
    read_timeout: float = 0.0
    retries: Retries = NO_RETRIES
    demote: bool = False
    api_key: bytes = b""

    def __repr__(self) -> str:
        return f"<Rules version {self.version!r} max_body {self.max_body} {self.retries} demote {self.demote}>"


@dataclass(frozen=True, slots=True)
class Destination:
    """Another provider, and the way to it. `missing` says what to do where it wants a key and has none."""

    place: Place
    upstream: Upstream
    retries: Retries
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes up. `model` is the one that the client asked for, where the answer comes in Chat Completions.

    `answer` is a whole answer that the proxy gives itself instead, status, headers and body.
    """

    upstream: Upstream
    head: RequestHead
    headers: list[Header]
    body: bytes
    retries: Retries
    sending: Sending = AS_IT_CAME
    route: Route | None = None
    model: str | None = None
    stream: bool = False
    answer: tuple[int, list[Header], bytes] | None = None
    refusal: RefusedError | None = None

    @property
    def is_chat(self) -> bool:
        """Whether the request was translated, and the answer must be."""
        return self.model is not None


class Planner:
    """Makes plans. Without a `router` none is for another provider than the one behind `upstream`."""

    def __init__(
        self,
        upstream: Upstream,
        rules: Rules,
        gate: Gate,
        router: Router | None = None,
        destinations: Mapping[str, Destination] | None = None,
    ) -> None:
        self._upstream = upstream
        self._rules = rules
        self._gate = gate
        self.router = router
        self._destinations = destinations or {}

    async def plan(self, head: RequestHead, given: list[Header], body: bytes) -> Plan:
        """Return what becomes of a request; `given` are its headers as the client sent them, `head` has those to pass on."""
        if self.router is None:
            return self._home(head, given, body, None)
        route = self.router.by_head(head)
        if route is not None:
            return self._home(head, given, body, route)
        plain = await self._plain(head, body)
        if plain is None:
            return self._home(head, given, body, None)
        route = await self.router.route(head, plain)
        if route.target is None:
            return self._home(head, given, body, route)
        if route.target.provider == HOME:
            return await self._other_model(head, given, plain, route, route.target)
        return await self._away(head, given, plain, route, self._destinations[route.target.provider], route.target)

    async def _plain(self, head: RequestHead, body: bytes) -> bytes | None:
        """Return a body as it can be read. One that is packed may unpack to as much as an unpacked one may be."""
        encoding = headers.header(head.headers, "content-encoding")
        if encoding is None:
            return body
        return await asyncio.to_thread(_decoded, encoding, body, self._rules.max_body or None)

    def _home(self, head: RequestHead, given: list[Header], body: bytes, route: Route | None) -> Plan:
        """Plan a request as it came, to the provider that it came for."""
        demoted = self._demoted(head, body)
        sending = _sending(route) if demoted is None else replaced(_sending(route), demoted=True)
        body = demoted or body
        passed = self._headers(head, given, body)
        return Plan(self._upstream, head, passed, body, self._rules.retries, sending, route=route)

    async def _other_model(
        self, head: RequestHead, given: list[Header], plain: bytes, route: Route, target: Target
    ) -> Plan:
        """Plan a request to the same provider for another of its models."""
        body = await aside(len(plain), with_model, plain, target.model) or plain
        plan = self._home(_without_encoding(head), given, body, route)
        return replace(plan, sending=replaced(plan.sending, provider=HOME, model=target.model))

    async def _away(
        self, head: RequestHead, given: list[Header], plain: bytes, route: Route, to: Destination, target: Target
    ) -> Plan:
        """Plan a request to another provider."""
        place = to.place
        sending = replaced(
            _sending(route), provider=place.name, model=target.model, endpoint=place.endpoint(head), format=place.format
        )
        refusal = self._refusal(given, to, route, target)
        if place.format == OPENAI and refusal is None:
            return await self._translated(head, plain, route, to, target, sending)
        body = await aside(len(plain), with_model, plain, target.model) or plain
        wanted = headers.header(head.headers, "accept-encoding") or ""
        accept = headers.header(head.headers, "accept") or ""
        sent = place.header_list(
            body, user_agent=USER_AGENT, stream="event-stream" in accept, accept_encoding=wanted.encode("latin-1")
        )
        return Plan(to.upstream, place.head(head), sent, body, to.retries, sending, route=route, refusal=refusal)

    async def _translated(
        self, head: RequestHead, plain: bytes, route: Route, to: Destination, target: Target, sending: Sending
    ) -> Plan:
        """Plan a request in Chat Completions."""
        place = to.place
        if head.path == COUNT:
            return await self._counted(head, plain, route, to, sending)
        dialect = dialect_of(place.host, target.model, place.most_tokens(target.model))
        try:
            chat, names, model = await aside(len(plain), _chat, plain, target.model, dialect)
        except UntranslatableError as error:
            refusal = RefusedError(400, f"the request cannot be said to {place.name}: {error}")
            return Plan(to.upstream, place.head(head), [], plain, to.retries, sending, route=route, refusal=refusal)
        sending = replaced(sending, losses=chat.losses, tool_names=names)
        sent = place.header_list(chat.body, user_agent=USER_AGENT, stream=chat.stream, accept_encoding=b"")
        return Plan(
            to.upstream, place.head(head), sent, chat.body, to.retries, sending, route=route, model=model,
            stream=chat.stream,
        )  # fmt: skip

    async def _counted(self, head: RequestHead, plain: bytes, route: Route, to: Destination, sending: Sending) -> Plan:
        """Plan an answer of our own to the question how many tokens a request has."""
        body = msgspec.json.encode({"input_tokens": await aside(len(plain), estimate_tokens, plain), "estimated": True})
        sending = replaced(sending, losses=(AN_ESTIMATE.format(to.place.name),), format=None)
        answer = (200, [*json_headers(body), ESTIMATED], body)
        return Plan(to.upstream, head, [], plain, to.retries, sending, route=route, answer=answer)

    def _refusal(self, given: list[Header], to: Destination, route: Route, target: Target) -> RefusedError | None:
        who = f'the agent "{route.agent.name}"' if route.agent else "this agent"
        what = f"{who} is routed to {target.model} at {to.place.name}"
        if to.missing:
            return RefusedError(400, f"{what}, and there is no key for it: {to.missing}")
        # The key is the proxy's own: it works for those only who bring a credential, or who may go without.
        brings = any(name.lower() in CREDENTIALS for name, _ in self._gate.passed(given))
        if not brings and not self._gate.lends(given):
            return RefusedError(403, f"{what}, whose key is not for requests without a credential from elsewhere")
        return None

    def _demoted(self, head: RequestHead, body: bytes) -> bytes | None:
        """Return the body that asks for a stream in the place of one that asks for a message, where that is wanted."""
        wanted = self._rules.demote and head.method == "POST" and head.path == MESSAGES
        return ask_for_stream(body) if wanted else None

    def _headers(self, head: RequestHead, given: list[Header], body: bytes) -> list[Header]:
        passed = [(name, value) for name, value in headers.end_to_end(head.headers) if name not in NOT_PASSED]
        if body or head.method in ("POST", "PUT", "PATCH"):
            passed.append((b"content-length", b"%d" % len(body)))
        if not any(name == b"anthropic-version" for name, _ in passed):
            passed.append((b"anthropic-version", self._rules.version))
        if self._rules.api_key and self._gate.lends(given):
            passed.append((b"x-api-key", self._rules.api_key))
        return passed


def _sending(route: Route | None) -> Sending:
    """Return what the record tells of who asks."""
    agent = route.agent if route else None
    return Sending(agent=agent.name, sign=agent.sign) if agent else AS_IT_CAME


def _decoded(encoding: str | None, body: bytes, most: int | None) -> bytes | None:
    """Return a body without its content encoding; None where that cannot be undone, so that nobody can tell what it says."""
    decoder = ContentDecoder(encoding, most)
    plain = decoder.feed(body) if decoder.encoded else body
    return None if decoder.problem else plain


def _chat(plain: bytes, model: str, dialect: Dialect) -> tuple[ChatRequest, dict[str, str], str]:
    """Return a request in Chat Completions, the client's names of its tools, and the model that the client asked for."""
    asked_for = take_apart(plain).value("model")
    return to_chat(plain, model, dialect), tool_names(plain), asked_for if isinstance(asked_for, str) else ""


def _without_encoding(head: RequestHead) -> RequestHead:
    return replace(head, headers=[(name, value) for name, value in head.headers if name != b"content-encoding"])
