"""The tool calls of one answer: which fragment belongs to which.

Knows how providers number and name the fragments of calls, and where they fail to: no index, one index for all, an id in every
fragment or in none, names that are repeated or come in pieces. Refuses to know in which order the calls are told (blocks.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ccproxy.protocol.openai.arguments import Arguments, as_text
from ccproxy.protocol.openai.losses import Losses, named

Object = dict[str, Any]

_KNOWN = {"index", "id", "type", "function"}
_NO_LETTER = re.compile(r"[^A-Za-z0-9]")
# OpenAI takes ids of 40 characters at most; the end of a message's id is what differs.
_MOST_OF_A_MESSAGE_ID = 24


class Call:
    """One call, as a block of the answer: see blocks.Block. `id` is empty while the provider has not told it."""

    kind = "call"
    member = ("input_json_delta", "partial_json")
    signature: str | None = None

    __slots__ = ("_calls", "arguments", "closed", "id", "name", "number", "pieces")

    def __init__(self, calls: Calls, number: int, name: str, id_: str) -> None:
        self._calls = calls
        self.number = number
        self.name = name
        self.id = id_
        self.arguments = Arguments()
        self.pieces: list[str] = []
        self.closed = False

    @property
    def ready(self) -> bool:
        """Whether the block may begin: it needs a name, and waits for the rest of it and for an id until the arguments begin."""
        if self.arguments.begun:
            return bool(self.name)
        return bool(self.name and self.id) and not self._calls.is_beginning(self.name)

    @property
    def settled(self) -> bool:
        """Whether the arguments are whole. A call without any may still get them."""
        return self.arguments.complete

    def opening(self) -> Object:
        """Return the block as it begins."""
        return {
            "type": "tool_use",
            "id": self._calls.free_id(self),
            "name": self._calls.own_name(self.name),
            "input": {},
        }

    def settle(self) -> bool:
        """Say that nothing more will come. Returns whether there is a block at all."""
        rest, meant = self.arguments.rest()
        if rest:
            self.pieces.append(rest)
        if not meant:
            self._calls.losses.note(f"the arguments of a call of {named(self.name)} are no JSON object")
        elif self.arguments.open:
            self._calls.losses.note(f"the arguments of a call of {named(self.name)} are not whole")
        if not self.name:
            self._calls.losses.note("a tool call without a name was left out")
        return bool(self.name)


class Calls:
    """All calls of one answer. `names` are the tools' names as they were sent, with the client's own.

    A name that comes in pieces is put together where `names` has it. Ids are kept; those that are missing or were used before
    are made of the message's id and the call's number.
    """

    def __init__(self, message_id: str, names: Mapping[str, str], losses: Losses) -> None:
        self.losses = losses
        self._message_id = _NO_LETTER.sub("", message_id.removeprefix("msg_"))[-_MOST_OF_A_MESSAGE_ID:]
        self._names = names
        self._all: list[Call] = []
        self._by_index: dict[int, Call] = {}
        self._by_id: dict[str, Call] = {}
        self._ids: set[str] = set()

    def __len__(self) -> int:
        """How many calls were told."""
        return len(self._ids)

    def take(self, fragments: list[Any]) -> list[Call]:
        """Take the fragments of one delta. Returns the calls that begin in it."""
        before, touched = len(self._all), set[Call]()
        for fragment in fragments:
            function = fragment.get("function") if isinstance(fragment, dict) else None
            if isinstance(function, dict):
                touched.add(self._take(fragment, function, touched))
            elif not isinstance(fragment, dict) or fragment.keys() - _KNOWN:
                self.losses.note(f"a tool call that is no function was left out: {named(fragment)}")
        return self._all[before:]

    def _take(self, fragment: Object, function: Object, touched: set[Call]) -> Call:
        for member in sorted(fragment.keys() - _KNOWN):
            self.losses.note(f"the member {named(member)} of a tool call was left out")
        index, id_, name = fragment.get("index"), _id(fragment.get("id")), function.get("name")
        name = name if isinstance(name, str) else ""
        text = as_text(function.get("arguments"))
        if not isinstance(index, int) or isinstance(index, bool):
            index = None
        call = self._candidate(index, id_)
        if call is None or (index is None and call in touched) or self._is_another(call, index, id_, name, text):
            call = self._new(index, name, id_)
        elif name and not call.closed and self._is_piece(call, name):
            call.name += name
        call.name = call.name or name
        if id_ and not call.id:
            call.id = id_
            self._by_id.setdefault(id_, call)
        return self._say(call, index, id_, text)

    def _say(self, call: Call, index: int | None, id_: str, text: str) -> Call:
        """Give a call a piece of its arguments; behind their end the arguments of another call of the same tool may begin."""
        rest = self._pass_on(call, text)
        while rest:
            call = self._new(index, call.name, id_ if id_ != call.id else "")
            id_, rest = "", self._pass_on(call, rest)
        return call

    def _pass_on(self, call: Call, text: str) -> str:
        """Give a call a piece of its arguments, and return the beginning of another object that stands behind them."""
        if call.closed and not call.arguments.complete:
            if text.strip():
                self.losses.note(f"arguments of a call of {named(call.name)} came after its end")
            return ""
        piece, rest = call.arguments.take(text)
        if piece:
            call.pieces.append(piece)
        rest = rest.strip()
        if rest.startswith("{"):
            return "" if rest == "".join(call.arguments.said).strip() else rest
        if rest:
            self.losses.note(f"what stood behind the arguments of a call of {named(call.name)} was left out")
        return ""

    def _candidate(self, index: int | None, id_: str) -> Call | None:
        """Return the call to which a fragment seems to belong."""
        if index is not None:
            return self._by_index.get(index)
        return self._by_id.get(id_) or (self._all[-1] if self._all else None)

    def _is_another(self, call: Call, index: int | None, id_: str, name: str, text: str) -> bool:
        """Return whether a fragment begins another call, though it has the same index, or none.

        Gemini gives all calls one index, Ollama did; old versions of vLLM gave each fragment an id of its own, but no name.
        """
        if not name or not call.name:
            return False
        if id_ and call.id and id_ != call.id:
            return not (call.arguments.open and name == call.name)
        if name != call.name:
            return not self._is_piece(call, name)
        return index is None and call.arguments.complete and bool(text.strip())

    def _is_piece(self, call: Call, name: str) -> bool:
        """Return whether a name goes on where the call's name ended."""
        return not call.arguments.begun and self.is_beginning(call.name) and self._begins_one(call.name + name)

    def is_beginning(self, name: str) -> bool:
        """Return whether a name is only the beginning of a tool's name."""
        return bool(self._names) and name not in self._names and self._begins_one(name)

    def _begins_one(self, name: str) -> bool:
        return any(known.startswith(name) for known in self._names)

    def _new(self, index: int | None, name: str, id_: str) -> Call:
        call = Call(self, len(self._all), name, id_)
        self._all.append(call)
        if index is not None:
            self._by_index[index] = call
        if id_:
            self._by_id.setdefault(id_, call)
        return call

    def own_name(self, name: str) -> str:
        """Return the client's name of a tool."""
        return self._names.get(name, name)

    def free_id(self, call: Call) -> str:
        """Return the id under which a call is told: its own, or one that is made where it has none of its own."""
        id_ = call.id
        if not id_ or id_ in self._ids:
            id_ = f"toolu_{self._message_id}_{call.number}"
        while id_ in self._ids:
            id_ += "_"
        self._ids.add(id_)
        return id_


def _id(value: Any) -> str:
    """Return an id as it was given; a number is one, too."""
    return value if isinstance(value, str) else str(value) if type(value) is int else ""
