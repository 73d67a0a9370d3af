"""A conversation in which tools work: those of the client, pages that a small model reads, and subagents.

Tools of one turn run at once, so the turn takes as long as the longest. Now and then the person is asked first, and takes a moment.
Refuses to know the order of a session.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Sequence
from typing import Any

from ccproxy.demo import prompts, tools
from ccproxy.demo.beats import Call, Part
from ccproxy.demo.frame import Frame, Message, dumped
from ccproxy.demo.prompts import text_block
from ccproxy.demo.proxy import Ask
from ccproxy.demo.replies import Block, Spoken
from ccproxy.demo.stage import Actor
from ccproxy.demo.thread import Thread
from ccproxy.demo.versions import MODELS, Model
from ccproxy.demo.week import SECOND

ASKED_FOR = frozenset({"Bash", "Edit", "Write"})
ASKED_SHARE = 0.35
ANSWERS_S = (2, 45)
READS_PAGES = MODELS["haiku"]
JUDGES = MODELS["sonnet"]
BLOCK_END = "</block>"

Doing = Generator[Ask | list[Actor], Any, list[Block]]


class Working(Thread):
    """A conversation with tools. `parts` are those of the subagents that it may start, `depth` how deep it sits itself."""

    agent_id = ""
    depth = 0

    def __init__(
        self, frame: Frame, model: Model, system: list[str], hints: dict[str, str], at: int, parts: dict[str, Part]
    ) -> None:
        super().__init__(frame, model, system, hints, at)
        self.parts = parts

    def given(self, call: Call) -> dict[str, Any]:
        """Return the input of a call; that of an agent is its part."""
        if call.tool != "Agent":
            return tools.given(call, self.frame.workspace)
        part = self.parts[call.given]
        return {"description": part.about, "prompt": part.prompt, "subagent_type": part.type}

    def work(self, calls: Sequence[Call], blocks: Sequence[Block]) -> Doing:
        """Have tools do what was asked of them, all at once; return their results."""
        self.uses += len(calls)
        began = self.at
        results: list[Block] = []
        longest = 0.0
        agents = [call for call in calls if call.tool == "Agent"]
        for call, block in zip(calls, blocks, strict=True):
            if call in agents:
                continue
            done, waited = yield from self._do(call, began)
            self.measured(call.tool, done.seconds)
            longest = max(longest, done.seconds + waited)
            results.append(_result(block, done.content, failed=done.failed))
        self.at = began + round(longest * SECOND)
        if agents:
            started = [self.agent(self.parts[call.given], began) for call in agents]
            reports = yield started
            self.at = max([self.at, *(ended for _, ended in reports)])
            for (report, ended), block in zip(reports, [b for b in blocks if b["name"] == "Agent"], strict=True):
                self.measured("Agent", (ended - began) / SECOND)
                results.append(_result(block, report, failed=False))
        self.at += round(self.frame.chance.between(3, 25) * 1000)
        order = [block["id"] for block in blocks]
        return sorted(results, key=lambda result: order.index(result["tool_use_id"]))

    @abstractmethod
    def agent(self, part: Part, at: int) -> Actor:
        """Return a subagent that plays its part from now on."""

    def _do(self, call: Call, began: int) -> Generator[Ask | list[Actor], Any, tuple[tools.Done, float]]:
        """Do what one call asks for; return what came of it, and how many seconds somebody had to be asked before."""
        waited = 0.0
        if self.frame.auto and call.tool == "Bash":
            waited = (yield from self._judged(call, began)) / SECOND
        elif call.tool in ASKED_FOR and not self.frame.headless and self.frame.chance.whether(ASKED_SHARE):
            waited = self.frame.chance.between(*ANSWERS_S)
        done = tools.do(call, self.frame.workspace, self.frame.chance)
        if call.tool == "WebFetch":
            read = yield from self._page(call, began + round(done.seconds * SECOND))
            done = tools.Done(done.input, done.content, done.failed, (read - began) / SECOND)
        return done, waited

    def _page(self, call: Call, at: int) -> Generator[Ask | list[Actor], Any, int]:
        """Have a small model read a page; return when it has."""
        asked = prompts.text("page prompt").format(page="\n".join(call.output), prompt=call.about)
        body = self.beside(READS_PAGES, prompts.text("page"), [text_block(asked)], max_tokens=READS_PAGES.max_tokens)
        heard = yield self.aside(body, Spoken((text_block("\n".join(call.answer)),)), at)
        return int(heard.ended_at)

    def _judged(self, call: Call, at: int) -> Generator[Ask | list[Actor], Any, int]:
        """Have a model judge whether a command may run; return how long that takes."""
        transcript = "".join(f"{dumped({'user': words}).decode()}\n" for words in _words_of_person(self.messages))
        action = dumped({"Bash": call.given}).decode()
        marked = [{**text_block(words), "cache_control": self.frame.mark()} for words in (transcript, f"{action}\n")]
        blocks = [text_block("<transcript>\n"), *marked, text_block("</transcript>\n")]
        body = self.beside(
            JUDGES, prompts.text("classifier"), blocks, max_tokens=64, stop_sequences=[BLOCK_END], stream=False
        )
        heard = yield self.aside(body, Spoken((text_block("<block>no"),), stop_reason="stop_sequence"), at)
        return int(heard.ended_at) - at

    def beside(self, model: Model, system: str, content: list[Block], *, stream: bool = True, **fields: Any) -> bytes:
        """Return the body of a request that is made beside the conversation."""
        return dumped(
            {
                "model": model.id,
                "messages": [{"role": "user", "content": content}],
                "system": [self.frame.billing_line(), text_block(system)],
                "metadata": self.frame.metadata(),
                **fields,
                "thinking": {"type": "disabled"},
                **({"stream": True} if stream else {}),
            }
        )

    def aside(self, body: bytes, reply: Spoken, at: int) -> Ask:
        """Return a request that is made beside the conversation."""
        headers = tuple(self.frame.headers(0, ("x-claude-code-request-class", "auxiliary")))
        return Ask(at, headers, body, reply)


def _result(block: Block, content: tools.Content, *, failed: bool) -> Block:
    found: Block = {"tool_use_id": block["id"], "type": "tool_result", "content": content}
    return {**found, "is_error": True} if failed else found


def _words_of_person(messages: list[Message]) -> list[str]:
    return [
        block["text"]
        for message in messages
        if message["role"] == "user"
        for block in message["content"]
        if block["type"] == "text" and not block["text"].startswith("<")
    ]
