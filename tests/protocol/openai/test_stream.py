"""Streams in Chat Completions as Anthropic's: words, thinking, ends, counts, errors, and what servers do to the framing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccproxy.protocol.openai.stream import PING, ChatStream
from tests.support import well_formed
from tests.support.chat import ASKED_FOR, MESSAGE_ID, MODEL, called, chunk, counted, framed, translated

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def test_the_events_are_framed_and_ordered_as_anthropics() -> None:
    """A short answer comes out as exactly these bytes."""
    stream = ChatStream("msg_1", "claude-x")
    data = stream.open() + stream.feed(
        framed(chunk({"role": "assistant", "content": ""}), chunk({"content": "Hi \"é\""}), chunk({}, "stop"), counted(**USAGE))
    )  # fmt: skip
    usage = (
        '"input_tokens":%d,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,'
        '"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":%d'
    )
    wanted = [
        ("message_start", '{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-x",'
         '"content":[],"stop_reason":null,"stop_sequence":null,"usage":{%s,"service_tier":"standard"}}}' % (usage % (0, 0))),
        ("content_block_start", '{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}'),
        ("content_block_delta", '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi \\"é\\""}}'),
        ("content_block_stop", '{"type":"content_block_stop","index":0}'),
        ("message_delta", '{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
         '"usage":{%s}}' % (usage % (10, 5))),
        ("message_stop", '{"type":"message_stop"}'),
    ]  # fmt: skip
    assert data.decode() == "".join(f"event: {name}\ndata: {payload}\n\n" for name, payload in wanted)
    assert stream.complete


def test_the_message_is_the_clients() -> None:
    """The message has the id that was given and the model that was asked for; the provider's model is told beside it."""
    got = translated(framed(chunk({"content": "x"}, "stop")))
    assert got.message is not None
    assert (got.message["id"], got.message["model"]) == (MESSAGE_ID, ASKED_FOR)
    assert got.stream.model == MODEL


def test_the_start_comes_before_any_chunk() -> None:
    """The first event is there before the provider has said a word, with a usage that has every member."""
    stream = ChatStream("msg_1", "m")
    (start,) = well_formed.payloads(stream.open())
    assert start["type"] == "message_start"
    assert start["message"]["usage"]["cache_creation"] == {
        "ephemeral_5m_input_tokens": 0,
        "ephemeral_1h_input_tokens": 0,
    }


def test_each_fragment_is_passed_on_when_it_comes() -> None:
    """No fragment waits for the next one: text, thinking and arguments come out of the very feed that they went into."""
    stream = ChatStream("msg_1", "m")
    pieces = [
        chunk({"reasoning_content": "th"}),
        chunk({"reasoning_content": "ink"}),
        chunk({"content": "te"}),
        chunk({"content": "xt"}),
        chunk(called(0, "", id_="call_1", name="Read")),
        chunk(called(0, '{"a')),
        chunk(called(0, '":1}')),
        chunk({}, "tool_calls"),
    ]
    said = [well_formed.payloads(stream.feed(framed(piece, done=False))) for piece in pieces]
    assert [[event["type"].removeprefix("content_block_") for event in events] for events in said] == [
        ["start", "delta"],
        ["delta"],
        ["delta", "stop", "start", "delta"],
        ["delta"],
        ["stop", "start"],
        ["delta"],
        ["delta"],
        ["stop"],
    ]


def test_the_first_fragment_is_there() -> None:
    """The first text that is not empty is never lost, also where it comes with the role or after empty ones."""
    assert (
        translated(framed(chunk({"role": "assistant", "content": "a"}), chunk({"content": "b"}, "stop"))).text == "ab"
    )
    many = framed(
        chunk({"content": ""}), chunk({"content": None}), chunk({"content": "\n"}), chunk({"content": "b"}, "stop")
    )
    assert translated(many).text == "\nb"


def test_an_answer_without_a_word_has_no_block() -> None:
    """An empty text opens no block, also beside calls; an answer that says nothing is a message without content."""
    got = translated(framed(chunk({"role": "assistant", "content": ""}), chunk({"content": ""}, "stop")))
    assert got.content == []
    both = translated(framed(chunk({"content": "", **called(0, "{}", id_="c", name="f")}), chunk({}, "tool_calls")))
    assert [block["type"] for block in both.content] == ["tool_use"]


# Deltas that think, the thinking, and what its signature says of where it came from.
THOUGHTS: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    "DeepSeek": ([{"reasoning_content": "a"}, {"reasoning_content": "b"}], "ab", "ccproxy:reasoning_content"),
    "Groq, Ollama": ([{"reasoning": "a"}, {"reasoning": "b"}], "ab", "ccproxy:reasoning"),
    "OpenRouter": (
        [{"reasoning": "a", "reasoning_details": [{"type": "reasoning.text", "text": "a", "index": 0}]}],
        "a",
        "ccproxy:reasoning",
    ),
    "details alone": (
        [
            {"reasoning_details": [{"type": "reasoning.text", "text": "a"}, {"type": "reasoning.summary", "summary": "b"}]},
            {"reasoning": None, "reasoning_details": [{"type": "reasoning.text", "text": "c"}]},
        ],
        "abc",
        "ccproxy:reasoning",
    ),
    "vLLM, which says it twice": ([{"reasoning_content": "a", "reasoning": "a"}], "a", "ccproxy:reasoning_content"),
    "Mistral": (
        [
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}]},
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "b"}], "closed": True}]},
        ],
        "ab",
        "ccproxy:reasoning",
    ),
    "a part with a text": ([{"content": [{"type": "thinking", "thinking": "a"}]}], "a", "ccproxy:reasoning"),
}  # fmt: skip


@pytest.mark.parametrize("name", THOUGHTS)
def test_reasoning_becomes_thinking(name: str) -> None:
    """Reasoning is one thinking block whose signature says where it came from; the text after it is a block of its own."""
    deltas, thinking, signature = THOUGHTS[name]
    got = translated(framed(*map(chunk, deltas), chunk({"content": "text"}), chunk({}, "stop")))
    assert got.content == [
        {"type": "thinking", "thinking": thinking, "signature": signature},
        {"type": "text", "text": "text"},
    ]
    assert got.stream.losses == ["the provider counted no tokens"]


def test_each_kind_of_words_has_its_own_block() -> None:
    """Thinking after text, text after a call, and thinking from another member each begin a new block, in the order they came."""
    got = translated(
        framed(
            chunk({"reasoning": "r1"}),
            chunk({"reasoning_content": "r2", "content": "t1"}),
            chunk({"reasoning_content": "r3"}),
            chunk({"content": [{"type": "text", "text": "t2"}, {"type": "text", "text": ""}, "t3"]}),
            chunk(called(0, "{}", id_="c1", name="f")),
            chunk({"content": "t4"}),
            chunk({}, "stop"),
        )
    )
    assert [block.get("text") or block.get("thinking") or block["name"] for block in got.content] == [
        "r1", "r2", "t1", "r3", "t2t3", "f", "t4",
    ]  # fmt: skip


def test_a_refusal_is_text_and_a_reason() -> None:
    """What the model says when it refuses is text to the client, and the message stops for a refusal."""
    got = translated(framed(chunk({"refusal": "I can't "}), chunk({"refusal": "do that."}), chunk({}, "stop")))
    assert got.content == [{"type": "text", "text": "I can't do that."}]
    assert got.message is not None
    assert got.message["stop_reason"] == "refusal"
    assert translated(framed(chunk({"content": [{"type": "refusal", "refusal": "No."}]}, "stop"))).text == "No."


CALL = called(0, "{}", id_="c", name="f")
# The deltas' additions, the finish reason, and the stop reason; then whether it was a guess.
ENDS: dict[str, tuple[dict[str, Any], Any, str, bool]] = {
    "stop": ({}, "stop", "end_turn", False),
    "length": ({}, "length", "max_tokens", False),
    "content_filter": ({}, "content_filter", "refusal", False),
    "tool_calls": (CALL, "tool_calls", "tool_use", False),
    "function_call": (CALL, "function_call", "tool_use", False),
    "stop, but with a call": (CALL, "stop", "tool_use", False),
    "length in a call": (CALL, "length", "max_tokens", False),
    "tool_calls without one": ({}, "tool_calls", "end_turn", True),
    "Mistral's own limit": ({}, "model_length", "max_tokens", False),
    "Together": ({}, "eos", "end_turn", False),
    "in capitals": ({}, "STOP", "end_turn", False),
    "unknown": ({}, "moon_phase", "end_turn", True),
    "unknown with a call": (CALL, "moon_phase", "tool_use", True),
    "no text": ({}, 7, "end_turn", True),
    "none": ({}, None, "end_turn", True),
    "none with a call": (CALL, None, "tool_use", True),
}


@pytest.mark.parametrize("name", ENDS)
def test_finish_reasons(name: str) -> None:
    """Each finish reason has its stop reason, and what was not understood is told; which stop sequence it was, nobody knows."""
    delta, finish, wanted, guessed = ENDS[name]
    got = translated(framed(chunk({"content": "x", **delta}), chunk({}, finish), counted(**USAGE)))
    assert got.message is not None
    assert (got.message["stop_reason"], got.message["stop_sequence"]) == (wanted, None)
    assert bool(got.stream.losses) == guessed


def test_the_first_finish_reason_counts() -> None:
    """OpenRouter gives the reason twice; a second one changes nothing, and words after the first one are not lost."""
    got = translated(framed(chunk({"content": "a"}, "length"), chunk({"content": "b"}, "stop"), counted(**USAGE)))
    assert got.message is not None
    assert got.message["stop_reason"] == "max_tokens"
    assert got.text == "ab"


# Where counts stand, and where the last ones are.
COUNTED: dict[str, list[dict[str, Any]]] = {
    "after the end, without choices": [chunk({"content": "x"}), chunk({}, "stop"), counted(**USAGE)],
    "with the reason": [chunk({"content": "x"}), chunk({}, "stop", usage=USAGE)],
    "in every chunk": [
        chunk({"content": "x"}, usage={"prompt_tokens": 10, "completion_tokens": 1}),
        chunk({}, "stop", usage=USAGE),
    ],
    "null in the others": [chunk({"content": "x"}, usage=None), chunk({}, "stop", usage=USAGE), chunk({}, usage=None)],
    "after an empty one": [chunk({"content": "x"}, "stop", usage=USAGE), counted()],
    "Groq": [chunk({"content": "x"}), chunk({}, "stop", x_groq={"id": "req", "usage": USAGE})],
    "choices that are null": [chunk({"content": "x"}, "stop"), {"choices": None, "usage": USAGE}],
    "no choices at all": [chunk({"content": "x"}, "stop"), {"usage": USAGE}],
    "beside a choice": [chunk({"content": "x"}, "stop"), chunk({"content": ""}, usage=USAGE)],
}


@pytest.mark.parametrize("name", COUNTED)
def test_counts_are_waited_for(name: str) -> None:
    """The last counts told are the message's, also where they come after the finish reason; the blocks are closed before."""
    got = translated(framed(*COUNTED[name]))
    assert got.message is not None
    assert (got.message["usage"]["input_tokens"], got.message["usage"]["output_tokens"]) == (10, 5)
    assert got.stream.losses == []


def test_blocks_do_not_wait_for_the_counts() -> None:
    """At the finish reason the open block is closed at once, so that a call can be run while the counts are on their way."""
    stream = ChatStream("msg_1", "m")
    stream.feed(framed(chunk({"content": "x"}), done=False))
    assert [event["type"] for event in well_formed.payloads(stream.feed(framed(chunk({}, "stop"), done=False)))] == [
        "content_block_stop"
    ]
    assert stream.feed(framed(counted(**USAGE), done=False)) == b""
    assert not stream.complete
    assert [event["type"] for event in well_formed.payloads(stream.feed(framed()))] == ["message_delta", "message_stop"]
    assert stream.complete


def test_no_counts_are_told_as_a_loss() -> None:
    """An answer without counts has zeros, since clients need numbers, and says that nobody counted."""
    got = translated(framed(chunk({"content": "x"}, "stop")))
    assert got.message is not None
    assert got.message["usage"]["output_tokens"] == 0
    assert got.stream.losses == ["the provider counted no tokens"]


def test_a_stream_without_done_ends_cleanly() -> None:
    """A body that is over after the finish reason was a whole answer."""
    got = translated(framed(chunk({"content": "x"}), chunk({}, "stop"), counted(**USAGE), done=False))
    assert got.stream.complete
    assert got.stream.losses == []


def test_what_broke_off_after_the_finish_reason_is_whole() -> None:
    """A connection that fails after the finish reason took nothing of the answer with it; that it failed is told."""
    got = translated(framed(chunk({"content": "x"}, "stop"), done=False), broken="the provider hung up")
    assert got.stream.complete
    assert "the stream broke off after the answer's end: the provider hung up" in got.stream.losses


def test_done_alone_is_an_end() -> None:
    """A stream that has [DONE] but no finish reason, as Snowflake's, was ended by the provider."""
    got = translated(framed(chunk({"content": "x"})))
    assert got.stream.complete
    assert "the provider gave no finish reason" in got.stream.losses


def test_nothing_follows_done() -> None:
    """What comes after [DONE] is not looked at, and closing adds nothing."""
    stream = ChatStream("msg_1", "m")
    stream.feed(framed(chunk({"content": "x"}, "stop")))
    assert stream.feed(framed(chunk({"content": "y"}), b'data: {"error":"late"}\n\n')) == b""
    assert stream.close() == stream.close("late") == b""
    assert stream.error is None


@pytest.mark.parametrize("broken", [None, "the provider was silent for 300 seconds"])
@pytest.mark.parametrize(
    "data",
    [b"", framed(chunk({"content": "x"}), done=False), framed(chunk(CALL), counted(**USAGE), done=False)],
    ids=["nothing", "text", "a call"],
)
def test_a_stream_that_breaks_off_is_an_error(data: bytes, broken: str | None) -> None:
    """Without a finish reason and without [DONE] there is no clean end: the client is told, in a sentence, and can try again."""
    got = translated(data, broken=broken, provider="openai")
    assert got.stream.error == {
        "type": "error",
        "error": {"type": "api_error", "message": f"openai: the answer broke off: {broken or 'it has no end'}"},
    }
    assert got.events[-1] == got.stream.error


# An error in the middle of a stream, its type, and its message.
ERRORS: dict[str, tuple[bytes, str, str]] = {
    "OpenAI": (
        b'data: {"error":{"message":"The server had an error","type":"server_error","code":null}}\n\n',
        "api_error",
        "The server had an error",
    ),
    "Groq": (
        b'event: error\ndata: {"error":{"message":"Tool choice is required","type":"invalid_request_error",'
        b'"code":"tool_use_failed","status_code":400}}\n\n',
        "invalid_request_error",
        "Tool choice is required",
    ),
    "OpenRouter": (
        framed(
            {
                **chunk({"content": ""}, "error"),
                "error": {"code": 502, "message": "Provider disconnected", "metadata": {"provider_name": "x"}},
            },
            done=False,
        ),
        "api_error",
        "Provider disconnected",
    ),
    "in the choice": (
        b'data: {"choices":[{"index":0,"delta":{},"error":{"code":429,"message":"Slow down"}}]}\n\n',
        "rate_limit_error",
        "Slow down",
    ),
    "a text": (b'data: {"error":"out of memory"}\n\n', "api_error", "out of memory"),
    "a text and a message": (b'data: {"error":"Bad","message":"worse"}\n\n', "api_error", "worse"),
    "an event": (b'event: error\ndata: {"message":"overloaded","type":"overloaded_error"}\n\n', "overloaded_error", "overloaded"),
    "an event in plain words": (b"event: error\ndata: out of memory\n\n", "api_error", "out of memory"),
    "vLLM": (b'data: {"object":"error","message":"bad","type":"BadRequestError","code":400}\n\n', "invalid_request_error", "bad"),
    "a finish reason": (framed(chunk({}, "error"), done=False), "api_error", "the model broke off with an error"),
    "DeepSeek": (
        framed(chunk({}, "insufficient_system_resource"), done=False),
        "overloaded_error",
        "the model broke off for lack of resources",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_in_the_middle_is_the_end(name: str) -> None:
    """An error becomes Anthropic's error event, with its type and the provider's words, and nothing follows it."""
    data, kind, message = ERRORS[name]
    got = translated(
        framed(chunk({"content": "x"}), done=False), data, framed(chunk({"content": "y"}, "stop")), provider="p"
    )
    assert got.stream.error == {"type": "error", "error": {"type": kind, "message": f"p: {message}"}}
    assert got.events[-1] == got.stream.error
    assert got.stream.feed(framed(chunk({"content": "z"}))) == got.stream.close() == b""


def test_an_error_at_the_very_end_is_told() -> None:
    """An error whose last line end is missing is an error all the same."""
    for data in (b'data: {"error":"gone"}', b"event: error\ndata: gone"):
        assert translated(framed(chunk({"content": "x"}), done=False), data).stream.error == {
            "type": "error",
            "error": {"type": "api_error", "message": "gone"},
        }


STRANGERS = {
    "Responses": (b'event: response.created\ndata: {"type":"response.created","response":{}}\n\n', "the Responses API"),
    "Realtime": (b'data: {"type":"session.created","session":{}}\n\n', "the Realtime API"),
    "Anthropic": (b'event: message_start\ndata: {"type":"message_start","message":{}}\n\n', "Anthropic's Messages API"),
    "text completions": (b'data: {"object":"text_completion","choices":[{"index":0,"text":"a"}]}\n\n', "a text completion"),
    "no choices": (b'data: {"status":"fine"}\n\ndata: {"prompt_filter_results":[],"choices":[]}\n\n', "has no choices"),
    "nothing": (b"", "has no choices"),
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGERS)
def test_another_protocol_is_no_empty_answer(name: str) -> None:
    """An answer in another protocol is an error that says which, never a clean message without content."""
    data, words = STRANGERS[name]
    got = translated(data, framed())
    assert got.stream.error is not None
    assert words in got.stream.error["error"]["message"]


def test_only_the_first_choice_is_kept() -> None:
    """Of several choices only the first is told, with its own finish reason; that there were others is told once."""
    got = translated(
        framed(
            chunk({"content": "b"}, index=1),
            chunk({"content": "a"}),
            chunk({}, "length", index=1),
            chunk({}, "stop"),
            counted(**USAGE),
        )
    )
    assert got.message is not None
    assert (got.text, got.message["stop_reason"]) == ("a", "end_turn")
    assert got.stream.losses == ["of several choices only the first was kept"]


# What is added to a chunk, and the word that the loss has.
LOSSES: dict[str, tuple[dict[str, Any], str]] = {
    "annotations": (chunk({"annotations": [{"type": "url_citation", "url_citation": {"url": "u"}}]}), "'annotations'"),
    "audio": (chunk({"audio": {"id": "a", "data": "AAAA"}}), "'audio'"),
    "images": (chunk({"images": [{"type": "image_url", "image_url": {"url": "data:"}}]}), "'images'"),
    "a new member": (chunk({"channel": "analysis"}), "'channel'"),
    "encrypted reasoning": (chunk({"reasoning_details": [{"type": "reasoning.encrypted", "data": "gAAA"}]}), "'data'"),
    "a signature": (chunk({"reasoning_details": [{"type": "reasoning.text", "signature": "Et0"}]}), "'signature'"),
    "reasoning that differs": (chunk({"reasoning_content": "a", "reasoning": "b"}), "'reasoning'"),
    "reasoning that is no text": (chunk({"reasoning": {"a": 1}}), "'reasoning'"),
    "details that are none": (chunk({"reasoning_details": ["a"]}), "'reasoning_details'"),
    "a part of a new type": (chunk({"content": [{"type": "reference", "reference_ids": [1]}]}), "'reference'"),
    "a part without a type": (chunk({"content": [5]}), "it has no type"),
    "thinking that is no text": (chunk({"content": [{"type": "thinking", "thinking": [5]}]}), "thinking"),
    "content that is none": (chunk({"content": {"a": 1}}), "content"),
    "citations": (chunk({}, citations=["https://example.org"]), "'citations'"),
    "a choice that is none": ({"choices": [5]}, "a choice that is no object"),
    "a chunk that is none": ([1, 2], "no chunk"),
    "a member that has a long name": (chunk({"m" * 500: 1}), "'mmm"),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_what_cannot_be_said_is_told(name: str) -> None:
    """What has no place in Anthropic's message is listed by name, once, however often it came; the answer goes on."""
    lost, word = LOSSES[name]
    got = translated(framed(lost, lost, chunk({"content": "x"}, "stop"), counted(**USAGE)))
    assert "x" in got.text
    (loss,) = got.stream.losses
    assert word in loss
    assert len(loss) < 200


def test_logprobs_are_told_as_lost() -> None:
    """Token probabilities have no place in a message; those that are null, or full of nulls, are no loss."""
    with_some = chunk({"content": "x"}, "stop", usage=USAGE)
    with_some["choices"][0]["logprobs"] = {"content": [{"token": "x"}]}
    assert translated(framed(with_some)).stream.losses == ["the member 'logprobs' of the answer was left out"]
    with_some["choices"][0]["logprobs"] = {"content": None, "refusal": None}
    assert translated(framed(with_some)).stream.losses == []


def test_members_that_say_nothing_are_no_loss() -> None:
    """Nulls, empty lists, empty texts and objects full of them say nothing, so nothing is lost."""
    nothing = {
        "annotations": [],
        "audio": None,
        "name": "",
        "graph_data": {"sources": None},
        "refusal": "",
        "tool_calls": None,
    }
    got = translated(framed(chunk({"content": "x", **nothing}), chunk(nothing, "stop"), counted(**USAGE)))
    assert got.stream.losses == []


def test_losses_are_bounded() -> None:
    """A provider that invents a member per chunk does not fill the memory with sentences."""
    got = translated(framed(*(chunk({f"member{number}": 1}) for number in range(500)), chunk({"content": "x"}, "stop")))
    assert len(got.stream.losses) == 100


BODY = chunk({"content": "añ🌍"}), chunk({"content": "b"}), chunk({}, "stop"), counted(**USAGE)
PLAIN = framed(*BODY)


def _with_comments(data: bytes) -> bytes:
    return b": OPENROUTER PROCESSING\n\n" + data.replace(b"\n\n", b"\n\n: OPENROUTER PROCESSING\n\n")


FRAMINGS: dict[str, bytes] = {
    "CRLF": PLAIN.replace(b"\n", b"\r\n"),
    "CR": PLAIN.replace(b"\n", b"\r"),
    "a byte order mark": b"\xef\xbb\xbf" + PLAIN,
    "no space after the colon": PLAIN.replace(b"data: ", b"data:"),
    "many spaces": PLAIN.replace(b"data: ", b"data:    "),
    "comments": _with_comments(PLAIN),
    "event names": PLAIN.replace(b"data: ", b"event: message\ndata: "),
    "ids and retries": PLAIN.replace(b"data: ", b"id: 1\nretry: 10\ndata: "),
    "empty data": b"data:\n\n" + PLAIN.replace(b"\n\n", b"\n\ndata: \n\n"),
    "no empty lines": PLAIN.replace(b"\n\n", b"\n") + b"\n",
    "no empty lines, and none at the end": PLAIN.replace(b"\n\n", b"\n").rstrip(),
    "no end of the last line": PLAIN.rstrip(),
    "no end of the last line, without DONE": framed(*BODY, done=False).rstrip(),
    "UTF-8 unescaped": b"".join(b"data: %s\n\n" % json.dumps(part, ensure_ascii=False).encode() for part in BODY),
    "indented": b"".join(
        b"".join(b"data: %s\n" % line for line in json.dumps(part, indent=1).encode().split(b"\n")) + b"\n" for part in BODY
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FRAMINGS)
def test_servers_frame_their_events_as_they_like(name: str) -> None:
    """Line ends, comments, keep-alives, event names and missing empty lines change nothing in what comes out."""
    got = translated(FRAMINGS[name])
    assert got.data == translated(PLAIN).data
    assert got.text == "añ🌍b"
    assert got.stream.losses == []


def test_noise_is_told() -> None:
    """Data that is no JSON and no error is left out, and told."""
    got = translated(b"data: OK\n\ndata: 5\n\n", PLAIN)
    assert got.text == "añ🌍b"
    assert got.stream.losses == [
        "an event that is no chunk was left out: 'OK'",
        "an event that is no chunk was left out: a value of type int",
    ]


@pytest.mark.parametrize(
    "bad", [b'data: {"choices":[{"delta":{"content":"a\n\n', b"data: [{]\n\n", b"data: {'a':1}\n\n"]
)
def test_a_chunk_that_cannot_be_read_is_an_error(bad: bytes) -> None:
    """A text with a hole in it is worse than none: a broken chunk ends the answer with an error, and is not skipped."""
    got = translated(framed(chunk({"content": "x"}), done=False), bad, framed(chunk({}, "stop")))
    assert got.stream.error is not None
    assert "cannot be read" in got.stream.error["error"]["message"]


def test_half_a_chunk_at_the_end_is_a_stream_that_broke_off() -> None:
    """A body that ends inside a chunk broke off; after the finish reason it only lost its counts."""
    half = b'data: {"choices":[],"usa'
    assert translated(framed(chunk({"content": "x"}), done=False), half).stream.error is not None
    got = translated(framed(chunk({"content": "x"}, "stop"), done=False), half)
    assert got.stream.complete
    assert got.stream.losses == ["the last event was cut off", "the provider counted no tokens"]


def test_json_that_only_a_lenient_reader_reads_is_read() -> None:
    """NaN, raw control characters and broken UTF-8 in a chunk do not cost its text; what was replaced is told."""
    got = translated(
        b'data: {"choices":[{"delta":{"content":"a"},"score":NaN}]}\n\n'
        b'data: {"choices":[{"delta":{"content":"\t"}}]}\n\n'
        b'data: {"choices":[{"delta":{"content":"caf\xe9"}}]}\n\n' + framed(chunk({}, "stop"), counted(**USAGE))
    )
    assert got.text == "a\tcaf�"
    assert got.stream.losses == ["a chunk has bytes that are no UTF-8"]


def test_halves_of_a_character_find_each_other() -> None:
    """A character that a server cut into two escapes, in two chunks, reaches the client as two escapes, and is whole there."""
    halves = (
        b'data: {"choices":[{"delta":{"content":"\\ud83c"}}]}\n\n',
        b'data: {"choices":[{"delta":{"content":"\\udf0d"}}]}\n\n',
    )
    got = translated(*halves, framed(chunk({}, "stop")))
    assert b'"text":"\\ud83c"' in got.data
    assert got.text == "🌍"


def test_a_whole_answer_in_one_event_is_understood() -> None:
    """A server that sends the message in place of deltas is understood; a message beside a delta says nothing new."""
    whole = {"choices": [{"index": 0, "message": {"content": "hello"}, "finish_reason": "stop"}], "usage": USAGE}
    assert translated(framed(whole)).text == "hello"
    both = chunk({"content": "a"}, "stop")
    both["choices"][0]["message"] = {"content": "a"}
    assert translated(framed(both)).text == "a"


def test_a_ping_is_anthropics() -> None:
    """The ping is the very bytes of Anthropic's."""
    assert PING == b'event: ping\ndata: {"type": "ping"}\n\n'


def test_how_far_an_answer_is_can_be_seen() -> None:
    """The translator's repr tells its state."""
    stream = ChatStream("msg_1", "m")
    stream.feed(framed(chunk({"content": "x"}), done=False))
    assert repr(stream) == "<ChatStream open <Blocks written=0 waiting=1>>"
    stream.close()
    assert repr(stream).startswith("<ChatStream failed")
    done = ChatStream("msg_1", "m")
    done.feed(framed(chunk({"content": "x"}, "stop")))
    assert repr(done) == "<ChatStream complete <Blocks written=1 waiting=0>>"
