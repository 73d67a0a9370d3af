"""What a request says about itself: every sign alone, their order, the recorded versions, and hostile types."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccproxy.protocol.anatomy import Anatomy, billing_line, is_billing_line, read_anatomy
from ccproxy.protocol.parts import take_apart
from tests.support import wire

Object = dict[str, Any]
CLI = ("user-agent", "claude-cli/2.1.330 (external, sdk-cli)")
IDENTITY = {"type": "text", "text": "You are Claude Code, Anthropic's official CLI for Claude."}
MAIN_PROMPT = {"type": "text", "text": "\nYou are an interactive agent that helps users with things."}
AGENT_PROMPT = {"type": "text", "text": "You are a file search specialist for somebody."}
USER = {"role": "user", "content": "hello"}
SUMMARISE = {
    "role": "user",
    "content": [{"type": "text", "text": "CRITICAL: Respond with TEXT ONLY. Do NOT call any tools.\n\n…"}],
}
SESSION, AGENT = "11111111-2222-3333-4444-555555555555", "a0123456789abcdef"
HASH = "0123456789abcdef" * 4
ACCOUNT = "99999999-8888-7777-6666-555555555555"


def billing(**more: str) -> Object:
    members = {"cc_version": "2.1.330.b8b", "cc_entrypoint": "sdk-cli", **more}
    line = "x-anthropic-billing-header: " + " ".join(f"{name}={value};" for name, value in members.items())
    return {"type": "text", "text": line}


def anatomy(
    body: Object | None = None, *headers: tuple[str, str], path: str = "/v1/messages", method: str = "POST"
) -> Anatomy:
    raw = json.dumps({"messages": [USER], **body}).encode() if body is not None else b""
    return read_anatomy(method, path, headers, take_apart(raw))


def kind(body: Object | None = None, *headers: tuple[str, str], **line: str) -> tuple[str, str]:
    found = anatomy(body, *headers, **line)
    return found.kind, found.kind_sign


def tools(count: int, *names: str) -> list[Object]:
    return [{"name": name} for name in (*names, *(f"Tool{number}" for number in range(count - len(names))))]


MAIN = {"system": [billing(), IDENTITY, MAIN_PROMPT], "tools": tools(20)}
SUB = {"system": [billing(cc_is_subagent="true"), IDENTITY, AGENT_PROMPT], "tools": tools(5)}


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/v1/messages/count_tokens", "count_tokens"),
        ("POST", "/v1/messages/count_tokens?beta=true", "count_tokens"),
        ("HEAD", "/", "probe"),
        ("HEAD", "/api/hello", "probe"),
        ("GET", "/api/hello", "probe"),
        ("GET", "/v1/models", "other"),
        ("POST", "/v1/messages/batches", "other"),
        ("GET", "/v1/messages", "other"),
        ("POST", "/v1/logs", "other"),
        ("POST", "", "other"),
    ],
)
def test_kinds_by_path(method: str, path: str, expected: str) -> None:
    """What is no message request is told by its path, whatever the body says."""
    assert kind(MAIN, ("x-claude-code-request-class", "main"), method=method, path=path) == (expected, "path")


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages?beta=true", "/v1/messages/", "/gateway/v1/messages"])
def test_message_paths(path: str) -> None:
    """A message request is one with a query, with a slash at its end, and below a gateway's prefix."""
    assert kind(MAIN, CLI, path=path) == ("main", "system_prompt")


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        ("main", "main"),
        ("subagent", "subagent"),
        ("workflow", "subagent"),
        ("compaction", "compaction"),
        ("auxiliary", "auxiliary"),
    ],
)
def test_kinds_by_hint(hint: str, expected: str) -> None:
    """The gateway hint header decides before all other signs."""
    assert kind(
        {**SUB, "messages": [SUMMARISE]} if hint == "main" else MAIN, ("x-claude-code-request-class", hint)
    ) == (
        expected,
        "hint_header",
    )


def test_other_hints() -> None:
    """The compaction header decides, the first-party class stands in where there is no other, a new class is auxiliary."""
    assert kind(MAIN, ("x-claude-code-compaction", "auto"), ("x-claude-code-request-class", "main"))[0] == "compaction"
    assert kind(MAIN, ("x-claude-1p-request-class", "blocking-subagent")) == ("subagent", "hint_header")
    assert kind(MAIN, ("x-claude-1p-request-class", "followup-generation")) == ("auxiliary", "hint_header")
    assert kind(MAIN, ("x-claude-code-request-class", "brand-new")) == ("auxiliary", "hint_header")
    assert kind(MAIN, CLI, ("x-claude-code-request-class", "")) == ("main", "system_prompt")


def schema(*names: str) -> Object:
    properties = {name: {"type": "string"} for name in names}
    return {"output_config": {"format": {"type": "json_schema", "schema": {"properties": properties}}}}


@pytest.mark.parametrize("hints", [[], [("x-claude-code-request-class", "auxiliary")]])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (schema("title"), ("title", "schema")),
        (schema("isNewTopic", "title"), ("title", "schema")),
        (schema("name"), ("rename", "schema")),
        (
            {"system": [billing(), {"type": "text", "text": "You are naming a coding session …"}]},
            ("title", "system_prompt"),
        ),
        ({"system": "Summarize this coding conversation in under 50 characters."}, ("title", "system_prompt")),
        (
            {"system": [IDENTITY, {"type": "text", "text": "Generate a short kebab-case name …"}]},
            ("rename", "system_prompt"),
        ),
        ({"system": "You are a security monitor for autonomous AI coding agents.\n…"}, ("classifier", "system_prompt")),
        ({"max_tokens": 1, "messages": [{"role": "user", "content": "quota"}]}, ("probe", "prompt")),
        (
            {"system": "Extract any file paths that this command reads or modifies.", "tools": []},
            ("auxiliary", "system_prompt"),
        ),
    ],
)
def test_requests_beside_the_conversation(body: Object, expected: tuple[str, str], hints: list) -> None:
    """Titles, renames, classifiers and probes are told by what they ask for, under a hint of auxiliary too."""
    assert kind(body, CLI, *hints) == expected


def test_compaction() -> None:
    """A summary is told by its prompt, also under an agent's id and before messages of role system; quoting it is not enough."""
    system_last = [USER, SUMMARISE, {"role": "system", "content": []}]
    assert kind({**MAIN, "messages": system_last}, CLI) == ("compaction", "prompt")
    assert kind({**MAIN, "system": "You are a helpful AI assistant tasked with summarizing conversations."}) == (
        "compaction",
        "system_prompt",
    )
    of_agent = anatomy({**SUB, "messages": [SUMMARISE]}, CLI, ("x-claude-code-agent-id", AGENT))
    assert (of_agent.kind, of_agent.is_subagent) == ("compaction", True)
    quoted = {"role": "user", "content": "What does 'CRITICAL: Respond with TEXT ONLY. Do NOT call any tools.' mean?"}
    assert kind({**MAIN, "messages": [quoted]}, CLI)[0] == "main"
    assert kind({**MAIN, "messages": [SUMMARISE, USER, USER, USER]}, CLI)[0] == "main"


def test_subagents() -> None:
    """A subagent is told by its id, then by the billing line, then by its prompt; its type by header or prompt."""
    with_id = anatomy(SUB, CLI, ("x-claude-code-agent-id", AGENT), ("x-claude-code-parent-agent-id", "a1"))
    assert (with_id.kind_sign, with_id.agent_id, with_id.parent_agent_id) == ("agent_id", AGENT, "a1")
    assert (with_id.is_subagent, with_id.agent_type) == (True, "Explore")
    assert (
        anatomy(SUB, CLI, ("x-claude-code-agent-id", AGENT), ("x-claude-code-agent-type", "custom")).agent_type
        == "custom"
    )
    assert kind(SUB, CLI) == ("subagent", "billing_line")
    old = anatomy({**SUB, "system": [billing(cch="00000"), IDENTITY, AGENT_PROMPT]}, CLI)
    assert (old.kind, old.kind_sign, old.is_subagent, old.agent_type) == ("subagent", "system_prompt", True, "Explore")
    notes = {"type": "text", "text": "You count files.\n\nNotes:\n- Agent threads always have their cwd reset …"}
    assert kind({"system": [IDENTITY, notes], "tools": tools(3)}, CLI) == ("subagent", "system_prompt")


def test_main_conversations() -> None:
    """A conversation is told by its prompt, with a prompt of the user's own by its tools, else by being Claude Code's."""
    own = {"system": [billing(), IDENTITY, {"type": "text", "text": "You are a pirate."}]}
    assert kind(MAIN) == ("main", "system_prompt")
    assert kind({**own, "tools": tools(12)}, CLI) == ("main", "tools")
    assert kind({**own, "tools": tools(3, "Task")}, CLI) == ("main", "tools")
    assert kind({**own, "tools": tools(3)}, CLI) == ("main", "default")
    assert kind(own, CLI) == ("auxiliary", "default")


def test_other_clients() -> None:
    """A message request of another client is other, and its client is named."""
    found = anatomy({"system": "Be kind.", "tools": tools(30)}, ("user-agent", "Anthropic/Python 0.75.0"))
    assert (found.kind, found.kind_sign) == ("other", "default")
    assert (found.client, found.client_version, found.entrypoint) == ("Anthropic/Python", "0.75.0", None)


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        ("claude-cli/2.1.330 (external, sdk-cli)", ("claude-cli", "2.1.330", "sdk-cli")),
        ("claude-cli/1.0.6 (external, cli)", ("claude-cli", "1.0.6", "cli")),
        ("claude-cli/2.1.330 (external, sdk-ts, agent-sdk/0.2.1)", ("claude-cli", "2.1.330", "sdk-ts")),
        ("claude-cli/2.1.330", ("claude-cli", "2.1.330", None)),
        ("Anthropic/JS 0.128.0", ("Anthropic/JS", "0.128.0", None)),
        ("AsyncAnthropic/Python 0.75.0", ("AsyncAnthropic/Python", "0.75.0", None)),
        ("Bun/1.4.4", ("Bun", "1.4.4", None)),
        ("curl/8.5.0", ("curl", "8.5.0", None)),
        ("something", ("something", None, None)),
        ("", (None, None, None)),
        ("(", ("(", None, None)),
    ],
)
def test_clients(agent: str, expected: tuple) -> None:
    """Name, version and entrypoint of the client come out of its User-Agent."""
    found = anatomy({}, ("user-agent", agent))
    assert (found.client, found.client_version, found.entrypoint) == expected


def test_the_billing_line_tells_what_headers_do_not() -> None:
    """Version and entrypoint come from the billing line where the User-Agent was changed, the prompt id where it has one."""
    body = {"system": [billing(cc_prompt_id="p1", cc_entrypoint="cli"), IDENTITY]}
    found = anatomy(body, ("user-agent", "my-gateway"))
    assert (found.client, found.client_version, found.entrypoint, found.prompt_id) == (
        "my-gateway",
        "2.1.330",
        "cli",
        "p1",
    )
    assert anatomy(body, ("x-claude-code-prompt-id", "p2")).prompt_id == "p2"


@pytest.mark.parametrize(
    ("user_id", "expected"),
    [
        (HASH, (HASH, None, None, None)),
        (f"user_{HASH}_account__session_{SESSION}", (HASH, None, SESSION, "user_id")),
        (f"user_{HASH}_account_{ACCOUNT}_session_{SESSION}", (HASH, ACCOUNT, SESSION, "user_id")),
        (json.dumps({"device_id": HASH, "account_uuid": "", "session_id": SESSION}), (HASH, None, SESSION, "user_id")),
        (json.dumps({"device_id": HASH, "account_uuid": ACCOUNT}), (HASH, ACCOUNT, None, None)),
        ('{"device_id": [1], "session_id": 5}', (None, None, None, None)),
        ("{broken", (None, None, None, None)),
        ("somebody", (None, None, None, None)),
        (5, (None, None, None, None)),
        (None, (None, None, None, None)),
    ],
)
def test_the_three_forms_of_a_user_id(user_id: object, expected: tuple) -> None:
    """Device, account and session come out of each historical form, and nothing out of anything else."""
    found = anatomy({"metadata": {"user_id": user_id}})
    assert (found.device_id, found.account_id, found.session_id, found.session_sign) == expected


def test_the_session_header_comes_first() -> None:
    """The session header is believed before the body."""
    body = {"metadata": {"user_id": json.dumps({"session_id": "from the body"})}}
    found = anatomy(body, ("x-claude-code-session-id", SESSION))
    assert (found.session_id, found.session_sign) == (SESSION, "header")


def test_plain_members() -> None:
    """Model, stream, limits, effort, thinking, retries and betas are read as they stand."""
    body = {
        "model": "claude-test",
        "stream": True,
        "max_tokens": 128000,
        "output_config": {"effort": "high"},
        "thinking": {"type": "adaptive"},
    }
    headers = [("x-stainless-retry-count", "2"), ("anthropic-beta", "a-1, b-2,"), ("Anthropic-Beta", "c-3")]
    found = anatomy(body, *headers)
    assert (found.model, found.stream, found.max_tokens) == ("claude-test", True, 128000)
    assert (found.effort, found.thinking, found.retry_count) == ("high", "adaptive", 2)
    assert found.beta == ("a-1", "b-2", "c-3")


ENVIRONMENT = "# Environment\nYou are here: \n - Primary working directory: /home/ada/proj\n - Platform: linux"


@pytest.mark.parametrize(
    "body",
    [
        {
            "system": [
                IDENTITY,
                {"type": "text", "text": "…\n<env>\nWorking directory: /home/ada/proj\nPlatform: linux\n</env>"},
            ]
        },
        {"system": "Working directory: /home/ada/proj"},
        {"messages": [USER, {"role": "system", "content": [{"type": "text", "text": ENVIRONMENT}]}]},
        {"messages": [USER, {"role": "system", "content": ENVIRONMENT}]},
        {
            "safeguards": [{"type": "x", "classifier_context": {"live_cwd": "/home/ada/proj"}}],
            "system": "Working directory: /other",
        },
    ],
)
def test_the_working_directory(body: Object) -> None:
    """It is found in the classifier's context, in the system prompt, and in an early message of role system."""
    assert anatomy(body).cwd == "/home/ada/proj"


def test_spelled_working_directories() -> None:
    """Backslashes, quotes and other scripts come out as they are; what a user writes about directories is not believed."""
    for path in ("C:\\Users\\ada\\new", '/tmp/"quoted"', "/home/ада/проект", "/with space/x"):
        assert anatomy({"system": f"<env>\nWorking directory: {path}\nPlatform: x"}).cwd == path
    assert anatomy({"messages": [{"role": "user", "content": "Working directory: /etc"}]}).cwd is None
    assert anatomy({"system": "Working directory: " + "x" * 5000}).cwd is None


def test_billing_lines() -> None:
    """The members of a billing line are read by name; any other text is none."""
    line = "x-anthropic-billing-header: cc_version=2.1.330.b8b; cc_entrypoint=cli; cch=a=b; ; odd; cc_is_subagent=true;"
    expected = {"cc_version": "2.1.330.b8b", "cc_entrypoint": "cli", "cch": "a=b", "cc_is_subagent": "true"}
    assert billing_line(line) == expected
    assert billing_line("You are Claude Code.") == billing_line("") == {}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (json.dumps(billing()), True),
        (json.dumps(billing()["text"]), True),
        ('{"cache_control": null, "text": "x-anthropic-billing-header: a=b;", "type": "text"}', True),
        (json.dumps({"type": "text", "text": "It says x-anthropic-billing-header: a=b;"}), False),
        (json.dumps({"type": "text", "text": "x-anthropic-billing-header: " + "x" * 10_000}), False),
        (json.dumps(IDENTITY), False),
        ("x-anthropic-billing-header: not JSON", False),
        ('{"text": 5, "x-anthropic-billing-header:": 1}', False),
    ],
)
def test_the_block_to_leave_out(part: str, expected: bool) -> None:
    """Only a block that is a billing line, in either spelling of a block, is taken for one."""
    assert is_billing_line(part.encode()) is expected


HOSTILE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=6)
    | st.sampled_from(["{", "user_a_account__session_b", HASH]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["text", "role", "content", "user_id", "format", "schema", "properties", "type"]), inner
        )
    ),
    max_leaves=8,
)
MEMBERS = [
    "model",
    "messages",
    "system",
    "tools",
    "metadata",
    "output_config",
    "thinking",
    "stream",
    "max_tokens",
    "safeguards",
]
HEADER_NAMES = [
    "user-agent",
    "x-claude-code-request-class",
    "x-claude-code-agent-id",
    "x-stainless-retry-count",
    "anthropic-beta",
]


@settings(deadline=None, max_examples=300)
@given(
    st.dictionaries(st.sampled_from(MEMBERS), HOSTILE),
    st.lists(st.tuples(st.sampled_from(HEADER_NAMES), st.text(max_size=20))),
    st.text(max_size=5),
)
def test_it_never_raises(body: Object, headers: list[tuple[str, str]], method: str) -> None:
    """Whatever the types are, every answer is of its declared type."""
    for verb in (method, "POST"):
        found = read_anatomy(verb, "/v1/messages", headers, take_apart(json.dumps(body).encode()))
        assert isinstance(found.kind, str)
        assert all(
            value is None or isinstance(value, str)
            for value in (
                found.model,
                found.session_id,
                found.device_id,
                found.effort,
                found.thinking,
                found.cwd,
                found.client,
            )
        )
        assert found.retry_count is None or 0 <= found.retry_count < 2**63


def test_a_body_that_is_no_json() -> None:
    """Of a body that cannot be read the headers still tell what they know."""
    found = read_anatomy("POST", "/v1/messages", [CLI, ("x-claude-code-session-id", SESSION)], take_apart(b"\x1f\x8b"))
    assert (found.session_id, found.client, found.kind, found.model) == (SESSION, "claude-cli", "auxiliary", None)


# What each recorded request is, by the file it is in; h, a, s stand for the sign: hint header, agent id, system prompt.
H, A, S = "hint_header", "agent_id", "system_prompt"
PROBE, OTHER = ("probe", "path"), ("other", "path")
RECORDED = {
    "b_2.1.280.jsonl": [PROBE, ("main", H), ("subagent", H), ("main", H), ("main", H)],
    "o_1.0.100.jsonl": [("main", S)] * 2,
    "o_2.0.0.jsonl": [("main", S)] * 2,
    "o_2.1.50.jsonl": [("main", S), ("subagent", S), ("main", S)],
    "wire_2.1.300_classifier_fallback.jsonl": [PROBE, ("main", H), *[("classifier", S)] * 10, ("main", H)],
    "wire_assume_first_party.jsonl": [PROBE, ("main", H)],
    "wire_first_party_mode.jsonl": [PROBE, ("main", H), ("main", H), ("subagent", H), ("main", H)],
    "wire_nested_subagents_hints.jsonl": [PROBE, ("main", H), ("main", H), *[("subagent", H)] * 3, ("main", H)],
    "wire_of_raw_bodies.jsonl": [PROBE, ("main", S), ("subagent", A), ("main", S), ("main", S), OTHER, OTHER],
    "wire_of_transcripts_2.1.330.jsonl": [PROBE, ("main", S), ("main", S), ("subagent", A), ("main", S)],
    "wire_plus_otlp_2.1.330.jsonl": [PROBE, ("main", S), ("main", S), *[OTHER] * 4],
}


def recorded(source: str) -> list[Anatomy]:
    return [
        read_anatomy(request.method, request.path, request.headers, take_apart(request.body))
        for request in wire.requests()
        if request.source == source
    ]


@wire.needs_wire
@pytest.mark.parametrize("source", RECORDED)
def test_recorded_requests(source: str) -> None:
    """Each request of each recorded version is what it was, and what all versions tell is found."""
    found = recorded(source)
    assert [(each.kind, each.kind_sign) for each in found] == RECORDED[source]
    for each in found:
        if each.kind_sign == "path":
            continue
        assert (each.client, each.entrypoint, each.retry_count) == ("claude-cli", "sdk-cli", 0)
        assert each.is_subagent == (each.kind == "subagent")
        assert each.session_id
        assert each.device_id
        assert each.kind == "classifier" or (each.cwd or "").startswith("/")
        assert each.kind != "subagent" or each.agent_type in {"Explore", "general-purpose"}


@wire.needs_wire
def test_a_recorded_nested_subagent_names_its_parent() -> None:
    """Of three requests of two agents the inner one names the outer one as its parent."""
    agents = [each for each in recorded("wire_nested_subagents_hints.jsonl") if each.is_subagent]
    outer, inner, outer_again = agents
    assert inner.parent_agent_id == outer.agent_id == outer_again.agent_id != inner.agent_id
    assert len({each.session_id for each in agents}) == len({each.prompt_id for each in agents}) == 1


@wire.needs_wire
def test_a_recorded_session_of_the_first_version() -> None:
    """A session of 1.0.6 has its quota probes, titles, helper calls, main turns and one compaction at its end."""
    found = recorded("claudetrace-1.0.6__a_session-grows-to-compaction.jsonl")
    kinds = [each.kind for each in found]
    counted = {name: kinds.count(name) for name in sorted(set(kinds))}
    assert counted == {"auxiliary": 5, "compaction": 1, "main": 13, "probe": 15, "title": 1}
    assert kinds[-1] == "compaction"
    assert {each.cwd is not None for each in found if each.kind == "main"} == {True}
    assert {each.device_id is not None for each in found} == {True}
