"""What a request says about itself: who asks, in which session, for what purpose.

Knows the signs that Claude Code has put on its requests from 1.0 to 2.1.330, the clear ones (headers) and the older ones
(billing line, `metadata.user_id`, prompts), and says which of them decided. Refuses to read the conversation: of a body of
a megabyte it decodes a few small members. Nothing here raises, whatever the types are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ccproxy.protocol.parts import RequestParts, json_value
from ccproxy.protocol.usage import LARGEST_COUNT

BILLING_NAME = "x-anthropic-billing-header:"
_MAX_BILLING_BYTES = (
    4096  # a block with the billing line in it is some hundred bytes; a prompt that quotes one is larger
)
_MAX_PATH = 4096  # PATH_MAX of Linux: what is longer is no working directory
_SYSTEM_BLOCKS_READ = 4  # billing line, identity, prompt, and one more
_FIRST_MESSAGES_READ = 6  # the environment stands among the first messages since 2.1.197
_LAST_MESSAGES_READ = 3  # the summary prompt may be followed by messages of role "system"
_MIN_MAIN_TOOLS = 12  # a main conversation has had at least so many in every version; Explore has up to nine

_REQUEST_CLASSES = {"main": "main", "subagent": "subagent", "workflow": "subagent", "compaction": "compaction"}
_FIRST_PARTY_CLASSES = {"main": "main", "blocking-subagent": "subagent"}

_IDENTITIES = ("You are Claude Code, Anthropic's official CLI", "You are a Claude agent, built on")
_MAIN_PROMPTS = (
    "You are an interactive CLI tool that helps users",
    "You are an interactive agent that helps users",
    "You are an agent working with the user toward their goals",
)
# How the system prompts of requests begin that Claude Code makes beside the conversation.
_PURPOSES = (
    ("You are naming a coding session", "title"),
    ("Generate a concise, sentence-case title", "title"),
    ("Analyze if this message indicates a new conversation topic", "title"),
    ("Summarize this coding conversation in under 50 characters", "title"),
    ("Generate a short kebab-case name", "rename"),
    ("You are a helpful AI assistant tasked with summarizing conversations", "compaction"),
    ("You are a security monitor for autonomous AI coding agents", "classifier"),
    ("Analyze this message and come up with a single positive", "auxiliary"),
    ("Extract any file paths that this command reads or modifies", "auxiliary"),
    ("Your task is to process Bash commands that an AI coding agent", "auxiliary"),
)
# How the system prompts of the built-in agents begin; versions up to 2.1.50 give no other sign.
_AGENTS = (
    ("You are a file search specialist", "Explore"),
    ("You are an agent for Claude Code", "general-purpose"),
    ("You are a software architect and planning specialist", "Plan"),
    ("You are a status line setup agent", "statusline-setup"),
    ("You are the Claude guide agent", "claude-code-guide"),
)
_AGENT_NOTES = "Notes:\n- Agent threads always have their cwd reset"
_SUMMARY_PROMPTS = (
    "CRITICAL: Respond with TEXT ONLY. Do NOT call any tools.",
    "Your task is to create a detailed summary of",
)
_SUMMARY_MARKS = tuple(prompt.encode() for prompt in _SUMMARY_PROMPTS)
_SPAWNING_TOOLS = (b'"Task"', b'"Agent"')

_AGENT_STRING = re.compile(r"\s*([^\s/]+(?:/(?![vV]?\d)[^\s/]+)?)(?:[/ ][vV]?(\d\S*))?(?:\s+\(([^)]*)\))?")
_OLD_USER_ID = re.compile(r"user_(?P<device>[^_]+)_account_(?P<account>[^_]*)_session_(?P<session>.+)")
_BARE_USER_ID = re.compile(r"[0-9a-fA-F]{64}")
# In raw JSON: up to the escaped line feed, or the end of the string.
_WORKING_DIRECTORY = re.compile(rb'orking directory: ((?:[^"\\]|\\[^nr])+)')
_LIVE_DIRECTORY = re.compile(rb'"live_cwd"\s*:\s*"((?:[^"\\]|\\.)+)"')
_SYSTEM_ROLE = re.compile(rb'"role"\s*:\s*"system"')


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What is known of one request; None where nothing says it.

    `kind` is one of main, subagent, title, rename, compaction, count_tokens, classifier, probe, auxiliary, other; a message
    request of another client than Claude Code is other. `kind_sign` is the sign that decided: hint_header, agent_id,
    billing_line, system_prompt, schema, path, prompt, tools, default. `session_sign` is header or user_id.
    """

    model: str | None = None
    stream: bool = False
    max_tokens: int | None = None
    kind: str = "other"
    kind_sign: str = "default"
    session_id: str | None = None
    session_sign: str | None = None
    agent_id: str | None = None
    parent_agent_id: str | None = None
    agent_type: str | None = None
    prompt_id: str | None = None
    client: str | None = None
    client_version: str | None = None
    entrypoint: str | None = None
    is_subagent: bool = False
    account_id: str | None = None
    device_id: str | None = None
    effort: str | None = None
    thinking: str | None = None
    retry_count: int | None = None
    cwd: str | None = None
    tool_durations: str | None = None
    compaction: str | None = None
    beta: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Caller:
    """Who calls, by the User-Agent."""

    client: str | None = None
    version: str | None = None
    entrypoint: str | None = None


@dataclass(frozen=True, slots=True)
class _User:
    """What `metadata.user_id` says."""

    device: str | None = None
    account: str | None = None
    session: str | None = None


def read_anatomy(method: str, path: str, headers: Sequence[tuple[str, str]], parts: RequestParts) -> Anatomy:
    """Return what the request says about itself.

    `headers` have lower-cased names and may be masked; `parts` are those of the body, empty where there is none. What
    several places say is taken from the first that says it: hint headers, agent id header, billing line,
    `metadata.user_id`, prompts.
    """
    given = _first_of_each(headers)
    texts = [_text(block) for block in parts.system[:_SYSTEM_BLOCKS_READ]]
    billing = next((line for line in map(billing_line, texts) if line), {})
    prompts = [text.lstrip() for text in texts if not text.startswith(BILLING_NAME)]
    caller, user = _caller(given.get("user-agent", "")), _user(_member(parts, "metadata").get("user_id"))
    kind, sign = _kind(method, path, given, billing, prompts, parts, caller)
    agent_id = given.get("x-claude-code-agent-id")
    session = given.get("x-claude-code-session-id")
    return Anatomy(
        model=_string(parts.value("model")),
        stream=parts.value("stream") is True,
        max_tokens=_count(parts.value("max_tokens")),
        kind=kind,
        kind_sign=sign,
        session_id=session or user.session,
        session_sign="header" if session else "user_id" if user.session else None,
        agent_id=agent_id,
        parent_agent_id=given.get("x-claude-code-parent-agent-id"),
        agent_type=given.get("x-claude-code-agent-type") or (_agent_type(prompts) if kind == "subagent" else None),
        prompt_id=given.get("x-claude-code-prompt-id") or billing.get("cc_prompt_id"),
        client=caller.client,
        client_version=caller.version or _version(billing),
        entrypoint=billing.get("cc_entrypoint") or caller.entrypoint,
        is_subagent=kind == "subagent" or agent_id is not None or billing.get("cc_is_subagent") == "true",
        account_id=user.account,
        device_id=user.device,
        effort=_string(_member(parts, "output_config").get("effort")),
        thinking=_string(_member(parts, "thinking").get("type")),
        retry_count=_count_in(given.get("x-stainless-retry-count")),
        cwd=_working_directory(parts),
        tool_durations=given.get("x-claude-code-prev-tool-durations"),
        compaction=given.get("x-claude-code-compaction"),
        beta=_betas(headers),
    )


def billing_line(text: str) -> dict[str, str]:
    """Return the members of a billing line (`x-anthropic-billing-header: a=b; c=d;`), empty where `text` is none."""
    if not text.startswith(BILLING_NAME):
        return {}
    pairs = (member.partition("=") for member in text[len(BILLING_NAME) :].split(";"))
    return {name.strip(): value.strip() for name, equals, value in pairs if equals and name.strip()}


def is_billing_line(raw_part: bytes) -> bool:
    """Return whether a system block, as raw JSON, is the billing line: the block that changes although the prompt does not."""
    if len(raw_part) > _MAX_BILLING_BYTES or BILLING_NAME.encode() not in raw_part:
        return False
    return _text(raw_part).startswith(BILLING_NAME)


def _kind(
    method: str,
    path: str,
    given: dict[str, str],
    billing: dict[str, str],
    prompts: list[str],
    parts: RequestParts,
    caller: _Caller,
) -> tuple[str, str]:
    """Return the kind of a request and the sign that decided."""
    elsewhere = _kind_by_path(method.upper(), path.partition("?")[0].rstrip("/"))
    if elsewhere:
        return elsewhere, "path"
    hinted = _kind_by_hint(given)
    if hinted and hinted != "auxiliary":
        return hinted, "hint_header"
    purpose = _purpose(prompts, parts)
    if hinted:
        return purpose or (hinted, "hint_header")
    if purpose and purpose[0] == "compaction":
        return purpose  # a subagent's conversation is summarised too, under its agent id
    if "x-claude-code-agent-id" in given:
        return "subagent", "agent_id"
    if billing.get("cc_is_subagent") == "true":
        return "subagent", "billing_line"
    return purpose or _kind_by_prompt(prompts, parts, caller)


def _kind_by_path(method: str, path: str) -> str | None:
    """Return the kind of whatever is not a message request."""
    if method == "HEAD" or path.endswith("/api/hello"):
        return "probe"
    if method == "POST" and path.endswith("/v1/messages"):
        return None
    return "count_tokens" if method == "POST" and path.endswith("/v1/messages/count_tokens") else "other"


def _kind_by_hint(given: dict[str, str]) -> str | None:
    """Return what the gateway hint headers say; a class nobody has heard of is auxiliary."""
    if "x-claude-code-compaction" in given:
        return "compaction"
    if hint := given.get("x-claude-code-request-class"):
        return _REQUEST_CLASSES.get(hint, "auxiliary")
    if hint := given.get("x-claude-1p-request-class"):
        return _FIRST_PARTY_CLASSES.get(hint, "auxiliary")
    return None


def _purpose(prompts: list[str], parts: RequestParts) -> tuple[str, str] | None:
    """Return the kind of a request that is made beside the conversation, by what it asks for."""
    if not parts.tools:
        schema = _kind_by_schema(parts)
        if schema:
            return schema, "schema"
    for prompt in prompts:
        for beginning, kind in _PURPOSES:
            if prompt.startswith(beginning):
                return kind, "system_prompt"
    if any(_asks_for_summary(message) for message in parts.messages[-_LAST_MESSAGES_READ:]):
        return "compaction", "prompt"
    if len(parts.messages) == 1 and parts.fields.get("max_tokens") == b"1" and not parts.tools:
        return "probe", "prompt"  # "quota": one token, to read the rate limit headers
    return None


def _kind_by_schema(parts: RequestParts) -> str | None:
    """Return title or rename where the answer must have just these members."""
    wanted = _member(parts, "output_config").get("format")
    schema = wanted.get("schema") if isinstance(wanted, dict) else None
    members = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(members, dict):
        return None
    if members.keys() in ({"title"}, {"isNewTopic", "title"}):
        return "title"
    return "rename" if members.keys() == {"name"} else None


def _asks_for_summary(message: bytes) -> bool:
    if not any(mark in message for mark in _SUMMARY_MARKS):
        return False
    value = json_value(message)
    if not isinstance(value, dict) or value.get("role") != "user":
        return False
    content = value.get("content")
    blocks = content if isinstance(content, list) else [content]
    return any(_block_text(block).lstrip().startswith(_SUMMARY_PROMPTS) for block in blocks)


def _kind_by_prompt(prompts: list[str], parts: RequestParts, caller: _Caller) -> tuple[str, str]:
    """Tell a main conversation from a subagent's where no header and no billing line does."""
    if _agent_type(prompts) or any(_AGENT_NOTES in prompt for prompt in prompts):
        return "subagent", "system_prompt"
    if any(prompt.startswith(_MAIN_PROMPTS) for prompt in prompts):
        return "main", "system_prompt"
    ours = caller.client == "claude-cli" or any(prompt.startswith(_IDENTITIES) for prompt in prompts)
    if not ours:
        return "other", "default"
    if len(parts.tools) >= _MIN_MAIN_TOOLS or _can_spawn(parts):
        return "main", "tools"
    return ("main" if parts.tools else "auxiliary"), "default"


def _can_spawn(parts: RequestParts) -> bool:
    """Return whether there is a tool that starts agents; before agents had ids, no agent could start another."""
    return any(name in tool[:_MAX_PATH] for tool in parts.tools for name in _SPAWNING_TOOLS)


def _agent_type(prompts: list[str]) -> str | None:
    return next((name for prompt in prompts for start, name in _AGENTS if prompt.startswith(start)), None)


def _first_of_each(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the headers by name; the first wins, and an empty one says nothing."""
    found: dict[str, str] = {}
    for name, value in headers:
        if value:
            found.setdefault(name.lower(), value)
    return found


def _caller(agent: str) -> _Caller:
    """Read a User-Agent such as `claude-cli/2.1.330 (external, sdk-cli)` or `Anthropic/Python 0.75.0`."""
    found = _AGENT_STRING.match(agent)
    if not found:
        return _Caller()
    client, version, comment = found.groups()
    details = [detail.strip() for detail in (comment or "").split(",")]
    entrypoint = details[1] if client == "claude-cli" and len(details) > 1 else None
    return _Caller(client, version, entrypoint or None)


def _user(user_id: Any) -> _User:
    """Read `metadata.user_id` in its three forms: JSON text since 2.1.197, `user_…_account_…_session_…`, bare hash."""
    if not isinstance(user_id, str):
        return _User()
    if user_id.startswith("{"):
        said = json_value(user_id.encode("utf-8", "replace"))
        if not isinstance(said, dict):
            return _User()
        return _User(*(_string(said.get(name)) for name in ("device_id", "account_uuid", "session_id")))
    if found := _OLD_USER_ID.fullmatch(user_id):
        return _User(found["device"], found["account"] or None, found["session"])
    return _User(device=user_id) if _BARE_USER_ID.fullmatch(user_id) else _User()


def _version(billing: dict[str, str]) -> str | None:
    """Return the client version of a billing line, without the last group, which belongs to the conversation."""
    return ".".join(billing.get("cc_version", "").split(".")[:3]) or None


def _working_directory(parts: RequestParts) -> str | None:
    """Return the working directory that the client told the model or the classifier."""
    found = _LIVE_DIRECTORY.search(parts.fields.get("safeguards", b""))
    early = parts.messages[:_FIRST_MESSAGES_READ]
    told = [*parts.system, *(message for message in early if _SYSTEM_ROLE.search(message))]
    for place in told:
        if found:
            break
        found = _WORKING_DIRECTORY.search(place)
    path = json_value(b'"' + found[1].rstrip() + b'"') if found else None
    return path if isinstance(path, str) and len(path) <= _MAX_PATH else None


def _betas(headers: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    lines = (value for name, value in headers if name.lower() == "anthropic-beta")
    return tuple(beta.strip() for line in lines for beta in line.split(",") if beta.strip())


def _text(raw_block: bytes) -> str:
    """Return the text of a system block, which may be a plain string, or an empty one where it has none."""
    return _block_text(json_value(raw_block))


def _block_text(block: Any) -> str:
    text = block.get("text") if isinstance(block, dict) else block
    return text if isinstance(text, str) else ""


def _member(parts: RequestParts, name: str) -> dict[str, Any]:
    value = parts.value(name)
    return value if isinstance(value, dict) else {}


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= LARGEST_COUNT else None


def _count_in(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < len(str(LARGEST_COUNT)) else None
