"""A client that runs: who uses it where, with which version and settings; and a seat in it, the main conversation's or an agent's.

Builds the headers and the body of a request in the client's own order. Refuses to know what is said, and when.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from ccproxy.demo.chance import Chance
from ccproxy.demo.replies import Block
from ccproxy.demo.versions import Model, Version
from ccproxy.demo.workspace import Workspace
from ccproxy.protocol.anatomy import BILLING_NAME

Message = dict[str, Any]
Headers = list[tuple[str, str]]

KEY = "made up for the demo"  # shows as a hash, like any other


@dataclass(slots=True)
class Frame:
    """A running client. `life` is how long it has its prompts cached, `shown` whether it asks to see thoughts."""

    workspace: Workspace
    version: Version
    chance: Chance
    session: str
    device: str
    account: str
    model: Model
    home: str
    headless: bool = False
    hints: bool = True
    life: str = "5m"
    shown: bool = True
    thinks: bool = True
    effort: str = "medium"
    auto: bool = False
    servers: tuple[str, ...] = ()
    prompt: str = ""  # the id of what the person last said
    billing: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self.billing = self.chance.hex(3)

    @property
    def entrypoint(self) -> str:
        """How it was started."""
        return "sdk-cli" if self.headless else "cli"

    def headers(self, retry: int, *more: tuple[str, str]) -> Headers:
        """Return the headers of a request; `more` are those that only this one has."""
        credential = ("x-api-key", KEY) if self.headless else ("authorization", f"Bearer {KEY}")
        betas = [*self.version.betas]
        betas += [] if self.headless else ["oauth-2025-04-20"]
        betas += ["extended-cache-ttl-2025-04-11"] if self.life == "1h" else []
        allowed = [pair for pair in more if self._sends(pair[0])]
        return [
            ("accept", "application/json"),
            ("content-type", "application/json"),
            ("user-agent", f"claude-cli/{self.version.name} (external, {self.entrypoint})"),
            ("x-claude-code-session-id", self.session),
            ("x-stainless-arch", "x64"),
            ("x-stainless-lang", "js"),
            ("x-stainless-os", "Linux"),
            ("x-stainless-package-version", self.version.stainless),
            ("x-stainless-retry-count", str(retry)),
            ("x-stainless-runtime", "node"),
            ("x-stainless-runtime-version", self.version.node),
            ("x-stainless-timeout", "600"),
            ("anthropic-beta", ",".join(betas)),
            ("anthropic-dangerous-direct-browser-access", "true"),
            ("anthropic-version", "2023-06-01"),
            credential,
            ("x-app", "cli"),
            *sorted(allowed),
            ("connection", "keep-alive"),
            ("host", "localhost:3001"),
            ("accept-encoding", "gzip, deflate, br, zstd"),
        ]

    def _sends(self, name: str) -> bool:
        """Tell whether this client says this: agent ids always, hints where they are on and its version knows them."""
        if name in ("x-claude-code-agent-id", "x-claude-code-parent-agent-id"):
            return True
        newer = name in ("x-claude-code-prompt-id", "x-claude-1p-request-class")
        return self.hints and (not newer or name in self.version.hints)

    def billing_line(self, *, agent: str = "") -> Block:
        """Return the system block that is about the bill; an agent's differs."""
        told = (
            f"{BILLING_NAME} cc_version={self.version.name}.{agent or self.billing}; cc_entrypoint={self.entrypoint};"
        )
        return {"type": "text", "text": told + (" cc_is_subagent=true;" if agent else "")}

    def mark(self) -> dict[str, str]:
        """Return the mark for the cache."""
        return {"type": "ephemeral", "ttl": "1h"} if self.life == "1h" else {"type": "ephemeral"}

    def metadata(self) -> dict[str, str]:
        """Return what a request says about its user."""
        ids = {"device_id": self.device, "account_uuid": self.account, "session_id": self.session}
        return {"user_id": json.dumps(ids, separators=(",", ":"))}

    def thinking(self, model: Model) -> dict[str, Any]:
        """Return how a request asks for thoughts."""
        if not self.thinks:
            return {"type": "disabled"}
        if not model.adaptive:
            return {"budget_tokens": model.max_tokens - 1, "type": "enabled"}
        return {"type": "adaptive", "display": "summarized" if self.shown else "omitted"}

    def body(
        self, model: Model, messages: list[Message], system: list[str], tools: list[dict[str, Any]], agent: str
    ) -> bytes:
        """Return the body of a turn: the newest block is marked for the cache, and so are the system's."""
        marked: list[Block] = [{"type": "text", "text": words, "cache_control": self.mark()} for words in system]
        return dumped(
            {
                "model": model.id,
                "messages": self._spelled(messages),
                "system": [self.billing_line(agent=agent), *marked],
                "tools": tools,
                "metadata": self.metadata(),
                "max_tokens": model.max_tokens,
                "thinking": self.thinking(model),
                "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
                **({"output_config": {"effort": self.effort}} if model.adaptive else {}),
                "stream": True,
            }
        )

    def _spelled(self, messages: list[Message]) -> list[Message]:
        """Spell messages as the client does: what the system says in the middle is a list as long as it is the newest."""
        *before, last = messages
        plain = [
            {**message, "content": message["content"][0]["text"]} if message["role"] == "system" else message
            for message in before
        ]
        *blocks, newest = last["content"]
        return [*plain, {**last, "content": [*blocks, {**newest, "cache_control": self.mark()}]}]


def dumped(value: dict[str, Any]) -> bytes:
    """Return JSON as the client writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
