"""The order of a chat: calls, their results, and what is said beside them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccproxy.protocol.openai.dialect import Dialect
from ccproxy.protocol.openai.request import to_chat
from tests.support.chat_requests import conversation, translated

Object = dict[str, Any]
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
PNG_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
HELLO = ("user", "hello")
SEE = "[See the next message of the user]"
BILLING = "x-anthropic-billing-header: cc_version=2.1.330.b8b; cc_entrypoint=sdk-cli; cc_is_subagent=true;"


def text(said: str) -> Object:
    return {"type": "text", "text": said}


def call(call_id: Any = "toolu_1", name: Any = "Read", **arguments: Any) -> Object:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def result(call_id: Any = "toolu_1", content: Any = "fine", **more: Any) -> Object:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **more}


def called(call_id: str = "toolu_1", name: str = "Read", arguments: str = "{}") -> Object:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def thinking(signature: str, said: str = "hm") -> Object:
    return {"type": "thinking", "thinking": said, "signature": signature}


# The system prompt, and system messages.


@pytest.mark.parametrize(
    "system", ["You help.", [text("You help.")], [text(BILLING), text("You help.")], f"{BILLING}\n\nYou help."]
)
def test_the_system_prompt_is_the_first_message(system: Any) -> None:
    """The system prompt is one message, and Claude Code's line for Anthropic's accounting goes nowhere else."""
    messages, losses = conversation(HELLO, system=system)
    assert messages == [{"role": "system", "content": "You help."}, {"role": "user", "content": "hello"}]
    assert not losses


def test_system_blocks_are_one_text() -> None:
    """Several blocks are one message; a prompt that quotes the accounting line keeps it."""
    quote = f"Never write {BILLING}"
    messages, _ = conversation(HELLO, system=[text(BILLING), text("You are."), text(quote)])
    assert messages[0]["content"] == f"You are.\n\n{quote}"


@pytest.mark.parametrize("system", [None, "", [], [text("")], [text(BILLING)], BILLING])
def test_no_system_prompt(system: Any) -> None:
    """Without anything to say there is no system message."""
    assert conversation(HELLO, system=system) == ([{"role": "user", "content": "hello"}], ())


@pytest.mark.parametrize("content", ["Be brief.", [text("Be brief.")], [text(BILLING), text("Be brief.")]])
def test_system_messages_stay_where_they_are(content: Any) -> None:
    """A system message inside the conversation keeps its place and its role."""
    messages, losses = conversation(
        HELLO, ("system", content), ("assistant", "hi"), ("user", "bye"), system="You help."
    )
    assert [message["role"] for message in messages] == ["system", "user", "system", "assistant", "user"]
    assert messages[2]["content"] == "Be brief."
    assert not losses


def test_empty_system_messages_say_nothing() -> None:
    """A system message without content, as Claude Code sends it, is no message, and no loss."""
    assert conversation(HELLO, ("system", []), ("system", ""), ("system", None)) == (
        [{"role": "user", "content": "hello"}],
        (),
    )


def test_system_messages_before_everything_belong_to_the_prompt() -> None:
    """System messages before the first of the user are part of the one system message."""
    messages, _ = conversation(("system", "First."), ("system", "Second."), HELLO, system="Zeroth.")
    assert messages[0] == {"role": "system", "content": "Zeroth.\n\nFirst.\n\nSecond."}
    assert conversation(("system", "Only."), HELLO)[0][0] == {"role": "system", "content": "Only."}


def test_system_messages_for_those_who_take_them_only_first() -> None:
    """Where system messages must be first, later ones are said by the user in the form that Claude Code uses itself."""
    messages, losses = conversation(
        HELLO, ("system", "Be brief."), dialect=Dialect(systems_anywhere=False), system="You help."
    )
    assert messages[1:] == [{"role": "user", "content": "hello\n\n<system-reminder>\nBe brief.\n</system-reminder>"}]
    assert losses == ("system messages inside the conversation are said by the user, as a <system-reminder>",)


def test_what_is_no_text_is_left_out_of_the_system_prompt() -> None:
    """An image or a change of tools has no place in a system message, and is told."""
    messages, losses = conversation(HELLO, ("system", [PNG, text("Look."), {"type": "tool_removal", "tool": {}}]))
    assert messages[1] == {"role": "system", "content": "Look."}
    assert losses == (
        "a block of type tool_removal is left out (messages[1])",
        "what is no text is left out of the system prompt (messages[1])",
    )


# Turns.


def test_neighbours_are_one_message() -> None:
    """Two messages of one side in a row are one, as Anthropic takes them."""
    messages, _ = conversation(
        ("user", "a"), ("user", [text("b"), PNG]), ("assistant", "c"), ("assistant", [text("d")]), ("user", "e")
    )
    assert messages == [
        {"role": "user", "content": [text("a"), text("b"), PNG_PART]},
        {"role": "assistant", "content": "c\n\nd"},
        {"role": "user", "content": "e"},
    ]


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ([text("Grass is "), text("green"), text(".")], "Grass is green."),
        ([text(""), text("Grass"), text(""), text("es")], "Grasses"),
        ([text("Grass."), thinking("c2ln"), text("Trees.")], "Grass.\n\nTrees."),
    ],
)
def test_pieces_of_a_sentence_stay_together(blocks: list[Object], said: str) -> None:
    """Text blocks of one message in a row, as citations make them, are one text without a gap."""
    assert conversation(HELLO, ("assistant", blocks), ("user", "ok"))[0][1]["content"] == said


@pytest.mark.parametrize("content", [[], "", None, [text("")], [thinking("c2ln")]])
def test_empty_messages_are_none(content: Any) -> None:
    """A message that says nothing, or only thinks, is left out."""
    messages, _ = conversation(HELLO, ("assistant", content), ("user", "are you there?"))
    assert messages == [{"role": "user", "content": "hello\n\nare you there?"}]


@pytest.mark.parametrize(
    "message", [{"role": "robot", "content": "x"}, {"content": "x"}, "x", None, {"role": ["user"]}]
)
def test_messages_of_nobody_are_told(message: Any) -> None:
    """What is no message of a known role is left out, and told."""
    said, losses = translated({"messages": [message, {"role": "user", "content": "hello"}]})
    assert said["messages"] == [{"role": "user", "content": "hello"}]
    assert losses == ("a message that is neither the user's nor the assistant's is left out (messages[0])",)


def test_unknown_members_of_messages_are_told() -> None:
    """A member of a message that nobody has heard of is a loss."""
    system = {"role": "system", "content": "x", "clear_at": "next_user_message", "output_config": {"effort": "low"}}
    _, losses = translated({"messages": [{"role": "user", "content": "hello", "mood": "good"}, system]})
    assert losses == (
        "the member mood of a message is left out (messages[0])",
        "the member clear_at of a message is left out (messages[1])",
    )


def test_a_prefill_is_told() -> None:
    """A conversation that ends with the assistant goes on as it is, and that it will not be continued is told."""
    messages, losses = conversation(HELLO, ("assistant", "The answer is"))
    assert messages[-1] == {"role": "assistant", "content": "The answer is"}
    assert losses == (
        "the last message is the assistant's: Chat Completions writes a new one instead of going on with it",
    )


# Calls and results.


def test_a_tool_loop() -> None:
    """A call is one of the assistant's message, its result a message of its own, at once after it."""
    messages, losses = conversation(
        HELLO,
        ("assistant", [text("I look."), call(file_path="/a b", limit=3)]),
        ("user", [result()]),
        ("assistant", "Done."),
        ("user", "thanks"),
    )
    assert messages[1:4] == [
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [called(arguments='{"file_path": "/a b", "limit": 3}')],
        },
        {"role": "tool", "tool_call_id": "toolu_1", "content": "fine"},
        {"role": "assistant", "content": "Done."},
    ]
    assert not losses


def test_a_call_without_words() -> None:
    """A message that only calls has no text."""
    messages, _ = conversation(HELLO, ("assistant", [call()]), ("user", [result()]))
    assert messages[1] == {"role": "assistant", "content": None, "tool_calls": [called()]}


@pytest.mark.parametrize(
    "arguments",
    [
        '{"n":123456789012345678901234567890,"f":1.0000000000000000000001,"e":1e400,"z":-0.0}',
        '{ "spaces" : [ 1 , 2 ] }',
        '{"text":"a \\u0041 \\n \\ud83d\\ude00 ü"}',
        '{"same":1,"same":2}',
    ],
)
def test_arguments_keep_their_bytes(arguments: str) -> None:
    """The input of a call is passed on as it is written: large numbers, many digits, spaces and escapes."""
    called_so = call("t", placeholder=0)
    body = json.dumps({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": [called_so]}]})
    body = body.replace('{"placeholder": 0}', arguments)
    chat = json.loads(to_chat(body.encode(), "gpt-4o", Dialect()).body)
    assert chat["messages"][1]["tool_calls"][0]["function"]["arguments"] == arguments


@pytest.mark.parametrize("block", [{"type": "tool_use", "id": "toolu_1", "name": "Read"}, {**call(), "input": None}])
def test_a_call_without_input(block: Object) -> None:
    """A call without input has empty arguments."""
    messages, _ = conversation(HELLO, ("assistant", [block]), ("user", [result()]))
    assert messages[1]["tool_calls"] == [called()]


def test_results_come_first_and_the_rest_after() -> None:
    """Results in the client's order stand before what the user and the system say in the same turn."""
    messages, losses = conversation(
        HELLO,
        ("assistant", [call("a"), call("b"), call("c")]),
        ("user", [text("before"), result("c", "3"), result("a", "1")]),
        ("system", "note"),
        ("user", [text("between"), result("b", "2"), text("after")]),
    )
    assert [(message["role"], message["content"]) for message in messages[2:]] == [
        ("tool", "3"), ("tool", "1"), ("tool", "2"), ("user", "before"), ("system", "note"), ("user", "between\n\nafter"),
    ]  # fmt: skip
    assert not losses


def test_calls_of_neighbours_are_one_message() -> None:
    """Calls in two messages in a row are calls of one, so that their answers can follow at once."""
    messages, _ = conversation(
        HELLO, ("assistant", [call("a")]), ("assistant", [call("b")]), ("user", [result("b"), result("a")])
    )
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "tool"]
    assert [one["id"] for one in messages[1]["tool_calls"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("plain", "plain"),
        ([text("one"), text("two")], "one\n\ntwo"),
        ([], ""),
        (None, ""),
        ([{"type": "tool_reference", "tool_name": "Edit"}], "The tool Edit is there to be called."),
        ([{"type": "document", "source": {"type": "text", "data": "page"}, "title": "T"}], "T\n\npage"),
    ],
)
def test_what_a_tool_says(content: Any, said: str) -> None:
    """A result is the text of its blocks, whatever they are."""
    messages, losses = conversation(HELLO, ("assistant", [call()]), ("user", [result(content=content)]))
    assert messages[2] == {"role": "tool", "tool_call_id": "toolu_1", "content": said}
    assert not losses


def test_an_error_says_so() -> None:
    """The model sees that a result is an error."""
    messages, _ = conversation(
        HELLO, ("assistant", [call()]), ("user", [result(content="no such file", is_error=True)])
    )
    assert messages[2]["content"] == "[The tool reports an error]\n\nno such file"
    messages, _ = conversation(HELLO, ("assistant", [call()]), ("user", [result(is_error=False)]))
    assert messages[2]["content"] == "fine"


def test_images_of_results_follow_all_results() -> None:
    """A tool message takes text only: its images are the user's, after all results, each named by its call. That is no loss."""
    messages, losses = conversation(
        HELLO,
        ("assistant", [call("a"), call("b", "Shot")]),
        ("user", [result("a", [text("the left one"), PNG, PNG]), result("b", [PNG]), text("which is nicer?")]),
    )
    assert messages[2:] == [
        {"role": "tool", "tool_call_id": "a", "content": f"the left one\n\n{SEE}\n\n{SEE}"},
        {"role": "tool", "tool_call_id": "b", "content": SEE},
        {
            "role": "user",
            "content": [
                text("From the result of Read (a):"), PNG_PART, PNG_PART, text("From the result of Shot (b):"), PNG_PART,
                text("which is nicer?"),
            ],
        },
    ]  # fmt: skip
    assert not losses


def test_text_after_a_call_is_told() -> None:
    """A chat message says its text before its calls; where that turns the order round, it is told."""
    messages, losses = conversation(HELLO, ("assistant", [call(), text("I called.")]), ("user", [result()]))
    assert messages[1]["content"] == "I called."
    assert losses == ("text that came after a tool call is said before it (messages[1])",)


# What was cut off.


@pytest.mark.parametrize("rest", [[], [("user", "stop")], [("system", "note")], [("user", [result("b")])]])
def test_calls_without_results_are_answered(rest: list[Any]) -> None:
    """A call whose result is missing gets an answer that says so, and the loss names the tool."""
    messages, losses = conversation(HELLO, ("assistant", [call("a"), call("b")]), *rest)
    answers = {message["tool_call_id"]: message["content"] for message in messages if message["role"] == "tool"}
    assert answers["a"] == "[There is no result: the conversation was cut off here]"
    assert losses[0].startswith("a call of Read without a result is answered by a text that says so (")


def test_results_without_calls_are_text() -> None:
    """A result whose call is not there, or that came twice, is said by the user, with its images."""
    messages, losses = conversation(
        ("user", [result("x", [text("old"), PNG], is_error=True)]),
        ("assistant", [call()]),
        ("user", [result(), result(content="again")]),
    )
    assert messages[0]["content"] == [
        text("[The result of a tool call]"),
        text("[The tool reports an error]"),
        text("old"),
        PNG_PART,
    ]
    assert messages[2]["content"] == "fine"
    assert messages[3]["content"] == "[The result of a tool call]\n\nagain"
    assert losses == ("a tool result without its call is said as text (2 times, first in messages[0])",)


@pytest.mark.parametrize("block", [call(None), call(""), call("t", ""), call("t", 5)])
def test_calls_that_cannot_be_called_are_text(block: Object) -> None:
    """A call without an id or a name is said as text."""
    messages, losses = conversation(HELLO, ("assistant", [block]), ("user", "ok"))
    assert messages[1]["content"].endswith("was called with {}]")
    assert losses == ("a tool call without an id of its own is said as text (messages[1])",)


def test_two_calls_with_one_id() -> None:
    """Of two calls with the same id in one message the second is text."""
    messages, losses = conversation(HELLO, ("assistant", [call(), call(name="Edit")]), ("user", [result()]))
    assert messages[1]["tool_calls"] == [called()]
    assert messages[1]["content"] == "[Edit was called with {}]"
    assert "a tool call without an id of its own is said as text (messages[1])" in losses


# Ids and names that the other protocol does not take.


def test_long_ids_are_shortened_in_pairs() -> None:
    """An id of more than 40 letters is another one, the same for the call and its result."""
    long = "toolu_" + "x" * 60
    messages, losses = conversation(
        HELLO, ("assistant", [call(long), call("toolu_" + "y" * 60)]), ("user", [result(long)])
    )
    ids = [one["id"] for one in messages[1]["tool_calls"]]
    assert len(set(ids)) == 2
    assert messages[2]["tool_call_id"] == ids[0]
    assert len(ids[0]) == 40
    assert all("id" not in loss for loss in losses)


@pytest.mark.parametrize(
    ("call_id", "kept"), [("a1B2c3D4e", True), ("toolu_01A09q90qw90lq917835lq9", False), ("call_1234", False)]
)
def test_short_ids_for_mistral(call_id: str, kept: bool) -> None:
    """Where ids must have nine letters and digits they have, and one that is such an id stays."""
    messages, _ = conversation(
        HELLO, ("assistant", [call(call_id)]), ("user", [result(call_id)]), dialect=Dialect(short_ids=True)
    )
    sent = messages[1]["tool_calls"][0]["id"]
    assert messages[2]["tool_call_id"] == sent
    assert len(sent) == 9
    assert sent.isalnum()
    assert (sent == call_id) is kept


def test_long_names_are_the_same_in_the_history() -> None:
    """A tool that is sent under another name was called by that name before."""
    name = "mcp__" + "very_long" * 10
    tools = [{"name": name, "input_schema": {"type": "object"}}]
    said, _ = translated(
        {
            "tools": tools,
            "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": [call(name=name)]}],
        }
    )
    assert said["messages"][1]["tool_calls"][0]["function"]["name"] == said["tools"][0]["function"]["name"]


def test_a_bridge_behind_results() -> None:
    """Where nothing but the assistant may follow results, it is made to say something; without anything to follow it is not."""
    dialect = Dialect(bridges=True, systems_anywhere=False)
    loop = (HELLO, ("assistant", [call()]), ("user", [result(), text("and now")]))
    messages, losses = conversation(*loop, dialect=dialect)
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "assistant", "user"]
    assert losses == ("the assistant is made to say something between tool results and what follows them",)
    messages, losses = conversation(*loop[:2], ("user", [result()]), dialect=dialect)
    assert [message["role"] for message in messages] == ["user", "assistant", "tool"]
    assert not losses


# Thinking.


def test_anthropics_thinking_is_told_once() -> None:
    """Thinking that only Anthropic can read is left out, and told once with how often."""
    blocks = [thinking("EqQBCkYIARgC"), {"type": "redacted_thinking", "data": "EmwKAhgB"}, thinking(""), text("so")]
    messages, losses = conversation(HELLO, ("assistant", blocks), ("user", "ok"))
    assert messages[1] == {"role": "assistant", "content": "so"}
    assert losses == ("a thinking block that only Anthropic can read is left out (3 times, first in messages[1])",)


def test_our_reasoning_goes_back_with_calls() -> None:
    """What came as reasoning_content goes back as such beside the calls it led to, and nowhere else."""
    ours = thinking("ccproxy:reasoning_content", "first look")
    messages, losses = conversation(
        HELLO,
        ("assistant", [ours, text("I look."), call()]),
        ("user", [result()]),
        ("assistant", [ours, text("done")]),
        ("user", "ok"),
    )
    assert messages[1]["reasoning_content"] == "first look"
    assert "reasoning_content" not in messages[3]
    assert not losses


def test_other_reasoning_is_dropped_without_a_word() -> None:
    """Reasoning that a provider does not want back is nobody's loss."""
    blocks = [thinking("ccproxy:reasoning"), thinking("ccproxy:something_new"), call()]
    messages, losses = conversation(HELLO, ("assistant", blocks), ("user", [result()]))
    assert "reasoning_content" not in messages[1]
    assert not losses


def test_reasoning_for_those_who_want_it_always() -> None:
    """DeepSeek and Moonshot get a reasoning_content on every assistant message, an empty one where none is known."""
    ours = thinking("ccproxy:reasoning_content", "hm")
    messages, _ = conversation(
        HELLO,
        ("assistant", [call()]),
        ("user", [result()]),
        ("assistant", [ours, text("done")]),
        ("user", "ok"),
        dialect=Dialect(echoes=True),
    )
    assert [message["reasoning_content"] for message in messages if message["role"] == "assistant"] == ["", "hm"]
