"""A streamed answer in Chat Completions, as Anthropic's stream.

Knows what a chunk may say and in which order Anthropic's stream says it. A chunk that cannot be read is an error, since a text with
a hole in it is worse than none; after an error nothing follows. Refuses to know when bytes come, and ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ccproxy.protocol.openai.blocks import TEXT, Blocks
from ccproxy.protocol.openai.calls import Calls
from ccproxy.protocol.openai.chunks import Chunk, Chunks, Done, Item
from ccproxy.protocol.openai.error import by, payload, stream_error
from ccproxy.protocol.openai.events import begun, empty_message, ended, framed
from ccproxy.protocol.openai.json_text import mended
from ccproxy.protocol.openai.losses import Losses, named
from ccproxy.protocol.openai.reasons import FAILURES, stop_reason
from ccproxy.protocol.openai.usage import to_usage
from ccproxy.protocol.openai.words import REFUSAL, says_something, words

Object = dict[str, Any]

PING = b'event: ping\ndata: {"type": "ping"}\n\n'
# Members beside the choices that say something: Perplexity's.
_BESIDE = ("citations", "search_results")
# The members of the deltas that come by the thousand.
_ONLY_TEXT = {"content", "role"}
_ONLY_CALLS = {"tool_calls"}
# How the types of events begin that are of another protocol.
_STRANGERS = {
    "response.": "the Responses API",
    "session.": "the Realtime API",
    "message_start": "Anthropic's Messages API",
}


class ChatStream:
    """One streamed answer: bytes of the provider's SSE in, bytes of Anthropic's SSE out, however they are cut.

    `model` is the name that the provider gives its model, `losses` what could not be said, in sentences; `error` is Anthropic's
    payload of an error, where the stream had one or broke off; `complete` says that a clean end was made.
    """

    def __init__(self, message_id: str, model: str, names: Mapping[str, str] | None = None, provider: str = "") -> None:
        """Start a message. `model` is the one that the client asked for; `provider` is named in errors, where it is given.

        `names` has the names of tools as they were sent, with the client's own. A name that a provider sends in pieces is put
        together only where it is among them.
        """
        self.model: str | None = None
        self.losses: Losses = Losses()
        self.error: Object | None = None
        self.complete = False
        self._message = empty_message(message_id, model)
        self._provider = provider
        self._chunks = Chunks(self.losses)
        self._blocks = Blocks()
        self._calls = Calls(message_id, names or {}, self.losses)
        self._usage: Object | None = None
        self._finish: str | None = None
        self._refused = False
        self._answered = False

    def __repr__(self) -> str:
        """Tell how far the answer is."""
        state = "complete" if self.complete else "failed" if self.error else "open"
        return f"<ChatStream {state} {self._blocks!r}>"

    def open(self) -> bytes:
        """Return the `message_start`, which comes before everything else."""
        return begun(self._message)

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes of the provider's stream and return the events for what they completed."""
        out: list[bytes] = []
        for item in self._chunks.feed(data):
            self._take(item, out)
        return b"".join(out)

    def close(self, broken: str | None = None) -> bytes:
        """Say that the body is over; `broken` is a sentence why it broke off. Returns the events that end the stream.

        The end is clean where the provider had given a reason to finish, whatever came after it. Otherwise it is an error.
        """
        out: list[bytes] = []
        for item in self._chunks.close():
            self._take(item, out)
        if not self.over:
            if self._finish is None:
                self._fail_as(f"the answer broke off: {broken or 'it has no end'}", out)
            else:
                self._end(out)
                if broken:
                    self.losses.note(f"the stream broke off after the answer's end: {broken}")
        return b"".join(out)

    @property
    def counted(self) -> bool:
        """Whether the provider told how many tokens it took; where it did not, the counts are zeros that mean nothing."""
        return self._usage is not None

    @property
    def over(self) -> bool:
        """Whether the client was told an end, so that nothing more can follow."""
        return self.complete or self.error is not None

    def _take(self, item: Item, out: list[bytes]) -> None:
        if self.over:
            return
        if isinstance(item, Chunk):
            self._take_value(item.name, item.value, out)
        elif isinstance(item, Done):
            self._end(out)
        elif item.name == "error":
            self._fail(stream_error(item.text, self._provider), out)
        else:
            self._fail_as("the answer has a chunk that cannot be read", out)

    def _take_value(self, name: str, chunk: Any, out: list[bytes]) -> None:
        if not isinstance(chunk, dict):
            self.losses.note(f"an event that is no chunk was left out: {named(chunk)}")
            return
        error = chunk.get("error")
        if error or name == "error" or chunk.get("object") == "error":
            self._fail(stream_error(chunk if isinstance(error, str) else error or chunk, self._provider), out)
            return
        if self.model is None and isinstance(chunk.get("model"), str):
            self.model = mended(chunk["model"]) or None
        self._take_usage(chunk)
        choices = chunk.get("choices")
        if isinstance(choices, list):
            for choice in choices:
                if not self.over:
                    self._take_choice(choice, out)
        elif not chunk.get("usage"):
            self._take_stranger(chunk, out)
        for member in _BESIDE:
            if chunk.get(member):
                self.losses.note(f"the member {named(member)} of the answer was left out")

    def _take_usage(self, chunk: Object) -> None:
        """Keep the counts that came last: each is a running total."""
        usage, groq = chunk.get("usage"), chunk.get("x_groq")
        if not usage and isinstance(groq, dict):
            usage = groq.get("usage")
        if usage and isinstance(usage, dict):
            self._usage = usage

    def _take_stranger(self, chunk: Object, out: list[bytes]) -> None:
        """Take an event without choices. One of another protocol is the end, as the whole answer is in it."""
        kind = str(chunk.get("type"))
        api = next((api for beginning, api in _STRANGERS.items() if kind.startswith(beginning)), None)
        if api is None:
            members = named(", ".join(sorted(chunk)))
            self.losses.note(f"an event without choices was left out, with the members {members}")
        else:
            self._fail_as(f"the answer is one of {api}, not of Chat Completions: its event is {named(kind)}", out)

    def _take_choice(self, choice: Any, out: list[bytes]) -> None:
        if not isinstance(choice, dict):
            self.losses.note(f"a choice that is no object was left out: {named(choice)}")
            return
        if choice.get("index") not in (0, None):
            self.losses.note("of several choices only the first was kept")
            return
        self._answered = True
        if choice.get("error"):
            self._fail(stream_error(choice["error"], self._provider), out)
            return
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            delta = choice.get("message")
        if isinstance(delta, dict):
            self._take_delta(delta, out)
        elif isinstance(choice.get("text"), str):
            self._fail_as("the answer is a text completion, not a chat completion", out)
            return
        if says_something(choice.get("logprobs")):
            self.losses.note("the member 'logprobs' of the answer was left out")
        if choice.get("finish_reason"):
            self._take_finish(choice["finish_reason"], out)

    def _take_delta(self, delta: Object, out: list[bytes]) -> None:
        content = delta.get("content")
        if content and isinstance(content, str) and delta.keys() <= _ONLY_TEXT:
            self._blocks.say(TEXT, content, out)
            return
        if delta.keys() != _ONLY_CALLS:
            for kind, piece in words(delta, self.losses):
                self._refused = self._refused or kind == REFUSAL
                self._blocks.say(TEXT if kind == REFUSAL else kind, piece, out)
        calls, call = delta.get("tool_calls"), delta.get("function_call")
        if calls or call:
            fragments = calls if isinstance(calls, list) else [calls] if calls else []
            for begun_call in self._calls.take([*fragments, {"function": call}] if call else fragments):
                self._blocks.add(begun_call)
            self._blocks.write(out)

    def _take_finish(self, finish: Any, out: list[bytes]) -> None:
        """Close what is open. The message itself ends later, since the counts may come after the reason."""
        reason = finish if isinstance(finish, str) else named(finish)
        if reason in FAILURES:
            kind, sentence = FAILURES[reason]
            self._fail_as(sentence, out, kind)
            return
        self._finish = self._finish or reason
        self._blocks.finish(out)

    def _end(self, out: list[bytes]) -> None:
        if not self._answered:
            self._fail_as("the answer has no choices", out)
            return
        self._blocks.finish(out)
        reason, known = stop_reason(self._finish, called=len(self._calls) > 0, refused=self._refused)
        if self._finish is None:
            self.losses.note("the provider gave no finish reason")
        elif not known:
            self.losses.note(f"the finish reason {named(self._finish)} was taken for {reason}")
        if self._usage is None:
            self.losses.note("the provider counted no tokens")
        out.append(ended({"stop_reason": reason, "stop_sequence": None}, to_usage(self._usage)))
        self.complete = True

    def _fail_as(self, sentence: str, out: list[bytes], kind: str = "api_error") -> None:
        self._fail(payload(kind, by(self._provider, sentence)), out)

    def _fail(self, error: Object, out: list[bytes]) -> None:
        self.error = error
        out.append(framed(error))
