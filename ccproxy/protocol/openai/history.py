"""The conversation of a Messages request, said as the messages of a chat.

Knows the order that Chat Completions wants: each call of a tool is answered by its own message, at once after the message that
called, and only in text. What a turn says besides comes after. A cut-off conversation is mended, since a provider refuses calls
without answers and answers without calls. Refuses to know what stands in a block (content), and the rest of the request.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import msgspec

from ccproxy.protocol.anatomy import BILLING_NAME
from ccproxy.protocol.openai.content import (
    BETWEEN,
    Block,
    Part,
    as_text,
    blocks_in,
    joined,
    parts_of,
    served,
    tell_unknown,
    text_part,
)
from ccproxy.protocol.openai.dialect import Dialect
from ccproxy.protocol.openai.ledger import Ledger
from ccproxy.protocol.openai.raw import object_in, objects_in, says_nothing, text_in, unsaid
from ccproxy.protocol.openai.tools import sent_name

Message = dict[str, Any]

# The signatures of thinking blocks that this package made of another provider's reasoning begin so. The reasoning of providers that
# call it `reasoning_content` is sent back to them under that name: they want it beside the tool calls of a turn.
OUR_SIGNATURES = "ccproxy:"
SENT_BACK = "ccproxy:reasoning_content"

_PLAIN = {"role", "content"}
_MEMBERS = {"user": _PLAIN, "assistant": _PLAIN, "system": _PLAIN | {"output_config"}}
_MOST_ID_LETTERS = 40  # "Expected a string with maximum length 40": https://github.com/agno-agi/agno/issues/5382
_SHORT_ID = re.compile(r"[a-zA-Z0-9]{9}")
_SHORT_ID_LETTERS = 9


class Turn(NamedTuple):
    """One message of the conversation: whose, where it stands, and its blocks. `effort` is what a system message asks for."""

    role: str
    where: str
    blocks: list[Block]
    effort: str | None = None


def turns_in(messages: msgspec.Raw | None, losses: Ledger) -> list[Turn]:
    """Return the messages of a request; those that are none are told as losses."""
    turns = []
    for number, message in enumerate(objects_in(messages) or []):
        where = f"messages[{number}]"
        role = text_in(message.get("role")) if message else None
        if message is None or role not in _MEMBERS:
            losses.count("a message that is neither the user's nor the assistant's is left out", where)
            continue
        config = object_in(message.get("output_config")) if role == "system" else None
        effort = text_in(config.get("effort")) if config else None
        turns.append(Turn(role, where, blocks_in(message.get("content"), where, losses), effort))
        if not message.keys() <= _MEMBERS[role]:
            for name in unsaid(message, _MEMBERS[role]):
                losses.count(f"the member {name} of a message is left out", where)
    return turns


def system_text(blocks: Iterable[Block], where: str, losses: Ledger) -> str:
    """Return the text of system blocks, without the line that Claude Code puts before them for Anthropic's accounting."""
    parts = parts_of(blocks, where, losses)
    if any(part["type"] != "text" for part in parts):
        losses.count("what is no text is left out of the system prompt", where)
    texts = [part["text"] for part in parts if part["type"] == "text"]
    kept = (text.partition("\n")[2].lstrip() if text.startswith(BILLING_NAME) else text for text in texts)
    return BETWEEN.join(text for text in kept if text)


def chat_messages(system: str, turns: Iterable[Turn], dialect: Dialect, losses: Ledger) -> list[Message]:
    """Return the messages of the chat: the system prompt first, where there is one, then the conversation."""
    chat = _Chat(system, dialect, losses)
    for assistant, group in groupby(turns, key=lambda turn: turn.role == "assistant"):
        if assistant:
            chat.answer(list(group))
        else:
            chat.ask(list(group))
    return chat.finished()


class _Chat:
    """A chat that is written message by message."""

    def __init__(self, system: str, dialect: Dialect, losses: Ledger) -> None:
        self._messages: list[Message] = [{"role": "system", "content": system}] if system else []
        self._dialect = dialect
        self._losses = losses
        self._open: dict[str, str] = {}  # the calls that wait for an answer: the names of their tools by their ids
        self._asked_where = ""

    def finished(self) -> list[Message]:
        """Return the messages; nothing may be added any more."""
        self._close_calls()
        if self._messages and self._messages[-1]["role"] == "assistant":
            self._losses.add(
                "the last message is the assistant's: Chat Completions writes a new one instead of going on with it"
            )
        for message in self._messages:
            if message["role"] == "user":
                message["content"] = joined(message["content"])
        return self._messages

    # What the assistant said.

    def answer(self, turns: Sequence[Turn]) -> None:
        """Add what the assistant said: one message, as Anthropic too takes neighbours for one."""
        texts: list[str] = []
        reasoning: list[str] = []
        calls: list[Part] = []
        for turn in turns:
            self._asked_where = turn.where
            before = ""
            for block in turn.blocks:
                if block.kind == "thinking":
                    reasoning += self._thinking(block, turn.where)
                elif block.kind == "tool_use" and (call := self._call(block, turn.where)):
                    calls.append(call)
                elif text := self._said(block, turn.where):
                    if calls:
                        self._losses.count("text that came after a tool call is said before it", turn.where)
                    if before == block.kind == "text":
                        texts[-1] += text  # a citation cuts a sentence in pieces
                    else:
                        texts.append(text)
                else:
                    continue
                before = block.kind
        self._add_answer(BETWEEN.join(texts), "\n".join(reasoning), calls)

    def _add_answer(self, text: str, reasoning: str, calls: list[Part]) -> None:
        if not text and not calls:
            return
        message: Message = {"role": "assistant", "content": text or None}
        if self._dialect.echoes or (calls and reasoning):
            message["reasoning_content"] = reasoning
        if calls:
            message["tool_calls"] = calls
        self._messages.append(message)

    def _thinking(self, block: Block, where: str) -> list[str]:
        signature = block.text("signature") or ""
        if signature == SENT_BACK:
            return [block.text("thinking") or ""]
        if not signature.startswith(OUR_SIGNATURES):
            self._losses.count("a thinking block that only Anthropic can read is left out", where)
        return []

    def _call(self, block: Block, where: str) -> Part | None:
        """Return a call; None where it has no name, or an id that another has that still waits."""
        call, name = block.text("id"), block.text("name")
        if not call or not name or call in self._open:
            return None
        self._open[call] = name
        block.tell_unsaid(where, self._losses)
        function = {"name": sent_name(name), "arguments": as_text(block.raw("input"))}
        return {"id": self._sent_id(call), "type": "function", "function": function}

    def _said(self, block: Block, where: str) -> str | None:
        """Return what the assistant said in a block that calls none of the client's tools."""
        if block.kind == "redacted_thinking":
            self._losses.count("a thinking block that only Anthropic can read is left out", where)
            return None
        if block.kind == "tool_use":
            self._losses.count("a tool call without an id of its own is said as text", where)
            return f"[{block.text('name')} was called with {as_text(block.raw('input'))}]"
        text = block.text("text") if block.kind == "text" else served(block)
        if text is None:
            tell_unknown(block.kind, where, self._losses)
        else:
            block.tell_unsaid(where, self._losses)
        return text

    # What comes back.

    def ask(self, turns: Sequence[Turn]) -> None:
        """Add what comes between two answers: first what the tools said, then what else the user and the system say."""
        rest: list[tuple[Turn, list[Block]]] = []
        attached: list[Part] = []
        for turn in turns:
            kept = []
            for block in turn.blocks:
                call = block.text("tool_use_id") if block.kind == "tool_result" else None
                if call in self._open and turn.role == "user":
                    attached += self._answer_call(call or "", block, turn.where)
                else:
                    kept.append(block)
            rest.append((turn, kept))
        self._close_calls()
        self._user(attached)
        for turn, blocks in rest:
            if turn.role == "system":
                self._system(system_text(blocks, turn.where, self._losses))
            else:
                self._user(self._parts(blocks, turn.where))

    def _answer_call(self, call: str, block: Block, where: str) -> list[Part]:
        """Add the answer of a tool, and return what of it is no text: a message of the role `tool` takes text only."""
        name = self._open.pop(call)
        parts = self._result(block, where)
        attached = [part for part in parts if part["type"] != "text"]
        text = BETWEEN.join(
            part["text"] if part["type"] == "text" else "[See the next message of the user]" for part in parts
        )
        self._messages.append({"role": "tool", "tool_call_id": self._sent_id(call), "content": text})
        return [text_part(f"From the result of {name} ({self._sent_id(call)}):"), *attached] if attached else []

    def _result(self, block: Block, where: str) -> list[Part]:
        block.tell_unsaid(where, self._losses)
        parts = parts_of(blocks_in(block.raw("content"), where, self._losses), where, self._losses)
        failed = not says_nothing(block.raw("is_error"))
        return [text_part("[The tool reports an error]"), *parts] if failed else parts

    def _close_calls(self) -> None:
        """Answer the calls that the conversation leaves without an answer."""
        for call, name in self._open.items():
            self._losses.count(
                f"a call of {name} without a result is answered by a text that says so", self._asked_where
            )
            text = "[There is no result: the conversation was cut off here]"
            self._messages.append({"role": "tool", "tool_call_id": self._sent_id(call), "content": text})
        self._open.clear()

    def _parts(self, blocks: Iterable[Block], where: str) -> list[Part]:
        """Return what the user says, and the results of calls that are not in the conversation."""
        parts: list[Part] = []
        for block in blocks:
            if block.kind == "tool_result":
                self._losses.count("a tool result without its call is said as text", where)
                parts += [text_part("[The result of a tool call]"), *self._result(block, where)]
            else:
                parts += parts_of([block], where, self._losses)
        return parts

    def _user(self, parts: list[Part]) -> None:
        """Add what the user says; neighbours become one message, as they do at Anthropic."""
        if not parts:
            return
        self._bridge()
        if self._messages and self._messages[-1]["role"] == "user":
            self._messages[-1]["content"] += parts
        else:
            self._messages.append({"role": "user", "content": list(parts)})

    def _system(self, text: str) -> None:
        if not text:
            return
        if all(message["role"] == "system" for message in self._messages):
            before = BETWEEN.join(message["content"] for message in self._messages)
            self._messages = [{"role": "system", "content": BETWEEN.join(filter(None, (before, text)))}]
        elif self._dialect.systems_anywhere:
            self._bridge()
            self._messages.append({"role": "system", "content": text})
        else:
            self._losses.add("system messages inside the conversation are said by the user, as a <system-reminder>")
            self._user([text_part(f"<system-reminder>\n{text}\n</system-reminder>")])

    def _bridge(self) -> None:
        if self._dialect.bridges and self._messages and self._messages[-1]["role"] == "tool":
            self._losses.add("the assistant is made to say something between tool results and what follows them")
            self._add_answer("I have read the results.", "", [])

    def _sent_id(self, call: str) -> str:
        """Return the id of a call as the provider takes it: its own where it can be."""
        if not self._dialect.short_ids and len(call) <= _MOST_ID_LETTERS:
            return call
        if self._dialect.short_ids and _SHORT_ID.fullmatch(call):
            return call
        digest = hashlib.blake2b(call.encode("utf-8", "replace"), digest_size=_MOST_ID_LETTERS // 2).hexdigest()
        return digest[:_SHORT_ID_LETTERS] if self._dialect.short_ids else digest
