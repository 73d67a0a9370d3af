"""What the client asks beside the conversation: a title, a name, the limits, the models, what fills the window.

Each is a request of its own that leaves no trace in the conversation. Refuses to know when it is wanted.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

from ccproxy.demo import prompts
from ccproxy.demo.frame import dumped
from ccproxy.demo.prompts import text_block
from ccproxy.demo.proxy import Ask
from ccproxy.demo.replies import Figure, Listing, Spoken
from ccproxy.demo.stage import Actor
from ccproxy.demo.versions import MODELS
from ccproxy.demo.working import Working

Playing = Generator[Ask | list[Actor], Any, None]

SMALL = MODELS["haiku"]
MAX_TOKENS = 32_000
TITLE_AFTER_US = 3000
QUOTA_BEFORE_US = 200_000
COUNTED_EVERY_US = 4000
COUNTED = {"role": "user", "content": "foo"}  # what stands in for a conversation where only tools are counted


class Errands(Working):
    """A conversation whose client has other things to ask."""

    def title(self, said: str, title: str) -> Playing:
        """Have the session named by its first prompt, while the model answers it."""
        body = self._formed(prompts.text("title"), f"<session>\n{said}\n</session>", "title")
        yield self.aside(body, Spoken((_member("title", title),)), self.at + TITLE_AFTER_US)

    def rename(self, said: list[str], name: str) -> Playing:
        """Have a name made for the session, by all that the person said."""
        body = self._formed(prompts.text("rename"), "\n\n".join(said), "name")
        heard = yield self.aside(body, Spoken((_member("name", name),)), self.at)
        self.at = heard.ended_at

    def _formed(self, system: str, asked: str, member: str) -> bytes:
        """Return a request for JSON with one member."""
        schema = {
            "type": "object",
            "properties": {member: {"type": "string"}},
            "required": [member],
            "additionalProperties": False,
        }
        form = {"effort": "low", "format": {"type": "json_schema", "schema": schema}}
        return self.beside(self.model, system, [text_block(asked)], max_tokens=MAX_TOKENS, output_config=form)

    def quota(self) -> Playing:
        """Ask for one token, to see the limits."""
        asked = {"model": SMALL.id, "max_tokens": 1, "messages": [{"role": "user", "content": "quota"}]}
        body = dumped({**asked, "metadata": self.frame.metadata(), "stream": True})
        reply = Spoken((text_block("#"),), stop_reason="max_tokens")
        heard = yield Ask(self.at, tuple(self.frame.headers(0)), body, reply)
        self.at = heard.ended_at + QUOTA_BEFORE_US

    def models(self) -> Playing:
        """Ask which models there are."""
        listed = [{"type": "model", "id": each.id, "display_name": f"Claude {each.name}"} for each in MODELS.values()]
        reply = Listing({"data": listed, "has_more": False, "first_id": listed[0]["id"], "last_id": listed[-1]["id"]})
        headers = tuple(pair for pair in self.frame.headers(0) if pair[0] != "content-type")
        yield Ask(self.at, headers, b"", reply, method="GET", path="/v1/models", query="limit=1000")

    def context(self) -> Playing:
        """Count what fills the window, piece by piece, as `/context` does."""
        servers = [tool for tool in self.tools() if tool["name"].startswith("mcp__")]
        built_in = [tool for tool in self.tools() if tool not in servers]
        texts = (self.system[1], self.frame.workspace.files["CLAUDE.md"], prompts.listing(self.frame.version, {}))
        asked: list[dict[str, Any]] = [
            *({"messages": [{"role": "user", "content": words}]} for words in texts),
            {"messages": [COUNTED], "tools": built_in},
            *({"messages": [COUNTED], "tools": [tool]} for tool in servers),
            {"messages": [{**message, "role": message["role"].replace("system", "user")} for message in self.messages]},
        ]
        headers = tuple(self.frame.headers(0, ("x-claude-code-request-class", "auxiliary")))
        ended = self.at
        for number, fields in enumerate(asked):
            body = dumped({"model": self.model.id, **fields})
            at = self.at + number * COUNTED_EVERY_US
            heard = yield Ask(at, headers, body, Figure(), path="/v1/messages/count_tokens")
            ended = max(ended, heard.ended_at)
        self.at = ended


def _member(name: str, value: str) -> dict[str, Any]:
    return text_block(json.dumps({name: value}, ensure_ascii=False))
