"""A conversation from the client's side: it asks, hears, lets tools work, and asks again with what they brought.

What the main conversation and a subagent have in common. Every wait of the client is time that passes between two requests. Refuses to
know where the screenplay leads.
"""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from ccproxy.demo.beats import Call, Turn
from ccproxy.demo.frame import Frame, Message
from ccproxy.demo.prompts import text_block
from ccproxy.demo.proxy import Ask, Heard
from ccproxy.demo.replies import Block, Fate, Reply, Spoken
from ccproxy.demo.stage import Actor
from ccproxy.demo.trouble import Trouble, wait_s
from ccproxy.demo.versions import Model
from ccproxy.demo.week import SECOND

Asking = Generator[Ask | list[Actor], Any, Heard]

AGAIN_S = 0.6  # until a broken answer is asked for once more
TWICE_S = 0.35
HIDDEN = {"low": 90, "medium": 420, "high": 1100}  # tokens of thought by effort: what is shown is a summary of them
SIGNATURE_BYTES = (90, 260)


class Thread(ABC):
    """One conversation. `at` is its time; `trouble` lies ahead of its next request.

    `notes` wait for the next message in the person's name, `told` for a message of the system behind it.
    """

    agent_billing = ""

    def __init__(self, frame: Frame, model: Model, system: list[str], hints: dict[str, str], at: int) -> None:
        self.frame = frame
        self.model = model
        self.system = system
        self.hints = hints
        self.at = at
        self.messages: list[Message] = []
        self.trouble = Trouble()
        self.notes: list[Block] = []
        self.told: list[str] = []
        self.tokens = 0  # of the newest request and its answer
        self.uses = 0
        self.interrupted = False
        self._durations: list[tuple[str, float]] = []

    @abstractmethod
    def tools(self) -> list[dict[str, Any]]:
        """Return the tools that a request offers."""

    @abstractmethod
    def work(self, calls: Sequence[Call], blocks: Sequence[Block]) -> Generator[Ask | list[Actor], Any, list[Block]]:
        """Have tools do what was asked of them; return their results."""

    def turn(self, turn: Turn) -> Asking:
        """Have the model take a turn, and its tools work."""
        blocks, hidden = self.blocks(turn)
        heard = yield from self.exchange(self.body(), Spoken(tuple(blocks), hidden))
        self.tokens = heard.tokens
        if self.interrupted:
            return heard
        self.messages.append({"role": "assistant", "content": blocks})
        if turn.calls:
            results = yield from self.work(turn.calls, [block for block in blocks if block["type"] == "tool_use"])
            self.say(*results)
        return heard

    def body(self) -> bytes:
        """Return the body of the next turn."""
        return self.frame.body(self.model, self.messages, self.system, self.tools(), self.agent_billing)

    def exchange(self, body: bytes, reply: Spoken) -> Asking:
        """Ask until there is an answer, through all the trouble that lies ahead."""
        trouble, self.trouble = self.trouble, Trouble()
        chance, headers, retry = self.frame.chance, self.said(), 0
        for refused in trouble.before:
            heard: Heard = yield self.ask(body, refused, headers, retry)
            self.at = heard.ended_at + round(wait_s(refused, retry, chance) * SECOND)
            retry += 1
        self.interrupted = trouble.fate in (Fate.LEFT, Fate.DARK)
        if trouble.fate is not Fate.WHOLE:
            heard = yield self.ask(body, replace(reply, fate=trouble.fate, until=trouble.until), headers, retry)
            self.at = heard.ended_at + round(chance.about(AGAIN_S) * SECOND)
            if self.interrupted:
                return heard
        if trouble.twice:
            yield self.ask(body, reply, headers, retry)
            self.at += round(chance.about(TWICE_S) * SECOND)
        heard = yield self.ask(body, replace(reply, stall=trouble.stall), headers, retry)
        self.at = heard.ended_at + round(chance.between(4, 30) * 1000)
        return heard

    def ask(self, body: bytes, reply: Reply, headers: dict[str, str], retry: int = 0) -> Ask:
        """Return a request of this client."""
        return Ask(self.at, tuple(self.frame.headers(retry, *headers.items())), body, reply)

    def say(self, *blocks: Block) -> None:
        """Say something in the person's name, with what waited for that; what the system has to say comes behind it."""
        content = [*blocks, *self.notes]
        if self.messages and self.messages[-1]["role"] == "user":
            content = [*self.messages.pop()["content"], *content]
        self.messages.append({"role": "user", "content": content})
        self.messages += [{"role": "system", "content": [text_block(words)]} for words in self.told]
        self.notes, self.told = [], []

    def blocks(self, turn: Turn) -> tuple[list[Block], int]:
        """Return the content of an answer, and the tokens that were thought and are not shown."""
        chance, hidden = self.frame.chance, 0
        found: list[Block] = []
        if turn.thinking and self.frame.thinks:
            hidden = round(chance.about(HIDDEN[self.frame.effort], 0.6))
            shown = turn.thinking if self.frame.shown else ""
            found.append({"type": "thinking", "thinking": shown, "signature": self._signature()})
        if turn.text:
            found.append(text_block(self.frame.workspace.located(turn.text)))
        for call in turn.calls:
            given = self.given(call)
            found.append({"type": "tool_use", "id": f"toolu_01{chance.letters(22)}", "name": call.tool, "input": given})
        return found, hidden

    @abstractmethod
    def given(self, call: Call) -> dict[str, Any]:
        """Return the input of a call."""

    def measured(self, name: str, seconds: float) -> None:
        """Note what the client measured of a tool."""
        self._durations.append((name, seconds))

    def said(self) -> dict[str, str]:
        """Return what the client says of the next request beside its body."""
        durations, self._durations = self._durations, []
        said = {**self.hints, "x-claude-code-prompt-id": self.frame.prompt}
        if durations:
            told = ";".join(f"{name}={max(1, round(seconds * 1000))}" for name, seconds in durations)
            said["x-claude-code-prev-tool-durations"] = told
        return said

    def _signature(self) -> str:
        size = round(self.frame.chance.between(*SIGNATURE_BYTES))
        return base64.b64encode(bytes.fromhex(self.frame.chance.hex(2 * size))).decode()
