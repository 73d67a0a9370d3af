"""The columns of every frame: name, type, unit, meaning and source.

The one place that says them. Frames, the views of `sql`, exports and the README's table equal it exactly. Refuses to know how a
column is computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

TEXT, WHOLE, REAL, YES_NO = pl.String(), pl.Int64(), pl.Float64(), pl.Boolean()
MOMENT = pl.Datetime("us", "UTC")
Type = pl.DataType


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `unit` is empty where there is none. `source` is where the value comes from: the wire, the store, or a rule.
    `body` marks text of any length, which frames have only on request."""

    name: str
    type: Type
    unit: str
    meaning: str
    source: str
    body: bool = False


@dataclass(frozen=True, slots=True)
class Grain:
    """A kind of row: its name, what one row is, its columns, and the columns by which rows are in order."""

    name: str
    row: str
    columns: tuple[Column, ...]
    order: tuple[str, ...]

    def schema(self, *, bodies: bool = False) -> dict[str, Type]:
        """Return name and type of each column; those of any length only with `bodies`."""
        return {column.name: column.type for column in self.columns if bodies or not column.body}


def _columns(*rows: tuple[str, Type, str, str, str] | Column) -> tuple[Column, ...]:
    return tuple(row if isinstance(row, Column) else Column(*row) for row in rows)


EXCHANGE = ("exchange_id", TEXT, "", "the exchange; sorts by time", "ccproxy: UUIDv7")
SESSION = ("session_id", TEXT, "", "the session", "wire: X-Claude-Code-Session-Id, else metadata.user_id")
THREAD = (
    "thread_id", TEXT, "", "an agent's run in a session: `<session>/main`, or `<session>/<agent id>`; null beside conversations",
    "rule: session, agent id and kind",
)  # fmt: skip
NODE = ("node", TEXT, "", "a message in its place: a digest over it and all before it", "store: nodes.digest, in hex")
MODEL = ("model", TEXT, "", "the model that answered, else the one that was asked", "wire: response, else request")

EXCHANGES = Grain(
    "exchanges",
    "HTTP exchange",
    _columns(
        EXCHANGE,
        SESSION,
        THREAD,
        ("agent_id", TEXT, "", "the subagent that asked; null in the main conversation", "wire: x-claude-code-agent-id"),
        ("parent_agent_id", TEXT, "", "the agent that started it, where it is not the main one", "wire: header"),
        ("agent_type", TEXT, "", "what the client calls the kind of agent", "wire: header, else prompt"),
        ("agent_name", TEXT, "", "the subagent as its definition calls it, where routing recognised it", "proxy"),
        ("agent_sign", TEXT, "", "what gave it away: spawn, definition, hint_header, system_prompt", "proxy"),
        ("kind", TEXT, "", "main, subagent, title, rename, compaction, count_tokens, classifier, probe, auxiliary, other", "rule"),
        ("kind_sign", TEXT, "", "which sign on the wire decided the kind", "rule"),
        ("compaction", TEXT, "", "what brought the client to summarise: auto, manual, reactive", "wire: header"),
        ("state", TEXT, "", "open, complete, failed, client_left or interrupted", "proxy"),
        ("started_at", MOMENT, "UTC", "when the request began to arrive", "proxy"),
        ("ended_at", MOMENT, "UTC", "when the exchange ended; null while it runs", "proxy"),
        ("method", TEXT, "", "HTTP method", "wire"),
        ("path", TEXT, "", "path", "wire"),
        ("query", TEXT, "", "query, without the question mark", "wire"),
        ("status", WHOLE, "", "HTTP status; null where no answer came", "wire"),
        ("error", TEXT, "", "what went wrong, as a sentence", "proxy, else wire"),
        ("error_kind", TEXT, "", "a short word for it", "proxy"),
        ("api_error", TEXT, "", "the provider's error type", "wire"),
        ("capture_note", TEXT, "", "what of the record is missing, and why", "ingest"),
        ("provider", TEXT, "", "the API that answered", "proxy"),
        ("requested_model", TEXT, "", "the model that the client asked for", "wire: request"),
        ("routed_model", TEXT, "", "the model that the request went up with", "proxy"),
        ("routed", YES_NO, "", "whether it went to another provider or model than the client asked for", "rule"),
        ("endpoint", TEXT, "", "scheme, host and path of another provider; null where all else that the client asks goes", "proxy"),
        ("losses", TEXT, "JSON", "list of sentences: what could not be said in the other protocol; null where nothing was lost", "proxy"),
        ("response_model", TEXT, "", "the model that the answer names", "wire: response"),
        MODEL,
        ("stream", YES_NO, "", "whether a stream was asked for", "wire: request"),
        ("demoted", YES_NO, "", "whether one message was asked for and a stream was fetched", "proxy"),
        ("max_tokens", WHOLE, "tokens", "the most that the answer might take", "wire: request"),
        ("effort", TEXT, "", "output_config.effort", "wire: request"),
        ("thinking", TEXT, "", "thinking.type", "wire: request"),
        ("prompt_id", TEXT, "", "the person's prompt that this belongs to", "wire: header, else billing line"),
        ("client", TEXT, "", "the client's name", "wire: user-agent"),
        ("client_version", TEXT, "", "its version", "wire: user-agent"),
        ("entrypoint", TEXT, "", "how it was started: cli, sdk-cli, …", "wire: billing line"),
        ("account_id", TEXT, "", "the account", "wire: metadata.user_id"),
        ("device_id", TEXT, "", "the device", "wire: metadata.user_id"),
        ("cwd", TEXT, "", "the client's working directory", "wire: prompt"),
        ("project", TEXT, "", "the last name of that path", "rule"),
        ("retry_count", WHOLE, "", "which repetition by the client this is; 0 is the first try", "wire: x-stainless-retry-count"),
        ("attempts", TEXT, "JSON", "what the proxy tried in vain before", "proxy"),
        ("tool_durations", TEXT, "ms", "what the client measured of the tools of the turn before, as `Read=37;Bash=742`", "wire: header"),
        ("request_id", TEXT, "", "the provider's id for the exchange", "wire: header"),
        ("response_id", TEXT, "", "the answer's message id", "wire: response"),
        ("stop_reason", TEXT, "", "why the answer ended", "wire: response"),
        ("stop_sequence", TEXT, "", "the sequence that ended it", "wire: response"),
        ("input_tokens", WHOLE, "tokens", "input neither read from the cache nor written to it", "wire: usage"),
        ("output_tokens", WHOLE, "tokens", "output, thinking included", "wire: usage"),
        ("cache_read_tokens", WHOLE, "tokens", "input taken from the prompt cache", "wire: usage"),
        ("cache_write_tokens", WHOLE, "tokens", "input put into the prompt cache", "wire: usage"),
        ("cache_write_5m_tokens", WHOLE, "tokens", "of these, for 5 minutes", "wire: usage"),
        ("cache_write_1h_tokens", WHOLE, "tokens", "of these, for 1 hour", "wire: usage"),
        ("context_tokens", WHOLE, "tokens", "all input: input, cache read and cache write", "rule"),
        ("web_searches", WHOLE, "", "searches that the provider made", "wire: usage"),
        ("head_ms", REAL, "ms", "from the start of the request to the head of the answer", "proxy"),
        ("first_byte_ms", REAL, "ms", "to the first byte of its body", "proxy"),
        ("first_token_ms", REAL, "ms", "to its first piece of content", "proxy"),
        ("duration_ms", REAL, "ms", "to its end", "proxy"),
        ("gap_p50_ms", REAL, "ms", "median time between pieces of content", "proxy"),
        ("gap_p99_ms", REAL, "ms", "99th percentile of it (nearest rank)", "proxy"),
        ("gap_max_ms", REAL, "ms", "longest time between pieces of content", "proxy"),
        ("tokens_per_second", REAL, "tokens/s", "output tokens over the time from the first piece of content to the last", "rule"),
        ("events", WHOLE, "", "events of the stream", "proxy"),
        ("request_bytes", WHOLE, "bytes", "request body on the wire", "proxy"),
        ("response_bytes", WHOLE, "bytes", "answer's body on the wire", "proxy"),
        ("tip", TEXT, "", "the request's last message: a `node` of messages", "store"),
        ("reply", TEXT, "", "the answer: a `node` of messages", "store"),
        ("preamble", TEXT, "", "its system blocks and tools: a `preamble` of prompt_parts", "store"),
    ),
    order=("exchange_id",),
)  # fmt: skip

_SUMS = (
    ("exchanges", WHOLE, "", "exchanges", "rule: count"),
    ("turns", WHOLE, "", "requests of kind main (session) or of the thread's own kind (thread)", "rule: count"),
    ("errors", WHOLE, "", "exchanges that failed, were interrupted, or were answered with an error", "rule: count"),
    ("input_tokens", WHOLE, "tokens", "sum over its exchanges", "rule: sum"),
    ("output_tokens", WHOLE, "tokens", "sum", "rule: sum"),
    ("cache_read_tokens", WHOLE, "tokens", "sum", "rule: sum"),
    ("cache_write_tokens", WHOLE, "tokens", "sum", "rule: sum"),
    ("cache_write_5m_tokens", WHOLE, "tokens", "sum", "rule: sum"),
    ("cache_write_1h_tokens", WHOLE, "tokens", "sum", "rule: sum"),
    ("models", pl.List(TEXT), "", "different models that answered, sorted", "rule"),
)
_SPAN = (
    ("started_at", MOMENT, "UTC", "start of its first exchange", "rule: minimum"),
    ("ended_at", MOMENT, "UTC", "end of its last one, or its start where it still runs", "rule: maximum"),
)

SESSIONS = Grain(
    "sessions",
    "session",
    _columns(
        SESSION,
        (
            "title",
            TEXT,
            "",
            "what the model called it, else how the first prompt begins",
            "wire: title request, else message",
        ),
        ("project", TEXT, "", "the last name of the working directory", "rule"),
        ("cwd", TEXT, "", "the working directory", "wire: prompt"),
        *_SPAN,
        ("agents", WHOLE, "", "different subagents", "rule: count"),
        ("client_version", TEXT, "", "version of the client, the newest", "wire: user-agent"),
        *_SUMS,
    ),
    order=("started_at", "session_id"),
)

THREADS = Grain(
    "threads",
    "agent's run in a session",
    _columns(
        THREAD,
        SESSION,
        ("agent_id", TEXT, "", "the subagent; null for the main conversation", "wire: header"),
        (
            "agent",
            TEXT,
            "",
            "its name: `main`, as routing recognised it, else the type in the call that started it, else the type that the client says",
            "rule",
        ),
        ("parent_thread_id", TEXT, "", "the thread that started it", "wire: header, else the call"),
        (
            "spawn_tool_use_id",
            TEXT,
            "",
            "the tool call that started it",
            "rule: agent id in the result, else the prompt",
        ),
        ("depth", WHOLE, "", "0 for the main conversation, 1 for an agent that it started, …", "rule"),
        *_SPAN,
        ("model_ms", REAL, "ms", "time that its exchanges ran, summed", "rule: sum"),
        *_SUMS,
    ),
    order=("started_at", "thread_id"),
)

MESSAGES = Grain(
    "messages",
    "message in its place",
    _columns(
        NODE,
        ("parent", TEXT, "", "the message before it: a `node`; null for the first one", "store"),
        ("depth", WHOLE, "", "how many messages stand before it", "store"),
        ("role", TEXT, "", "user, assistant or system", "wire"),
        ("exchange_id", TEXT, "", "the exchange in which it first stood", "rule"),
        SESSION,
        THREAD,
        ("blocks", WHOLE, "", "content blocks", "rule: count"),
        ("characters", WHOLE, "characters", "their characters", "rule: sum"),
        Column("json", TEXT, "JSON", "the message as first seen, without `cache_control`", "wire", body=True),
    ),
    order=("exchange_id", "depth", "node"),
)

BLOCKS = Grain(
    "blocks",
    "content block of a message",
    _columns(
        NODE,
        ("position", WHOLE, "", "place in the message, from 0", "wire"),
        ("role", TEXT, "", "the message's role", "wire"),
        ("type", TEXT, "", "text, thinking, tool_use, tool_result, image, …", "wire"),
        ("tool_name", TEXT, "", "name of the tool that is called", "wire"),
        ("tool_use_id", TEXT, "", "the call that this makes or answers", "wire"),
        ("is_error", YES_NO, "", "whether a result is one of an error", "wire"),
        ("characters", WHOLE, "characters", "length of the text", "rule"),
        Column("text", TEXT, "", "the text; of a call its input as JSON; null for images", "wire", body=True),
    ),
    order=("node", "position"),
)

TOOL_CALLS = Grain(
    "tool_calls",
    "tool call with its result",
    _columns(
        ("tool_use_id", TEXT, "", "the call", "wire"),
        EXCHANGE,
        SESSION,
        THREAD,
        ("called_at", MOMENT, "UTC", "when the answer with the call ended", "proxy"),
        MODEL,
        ("tool_name", TEXT, "", "name of the tool", "wire"),
        ("mcp_server", TEXT, "", "the MCP server it belongs to; null for tools built in", "rule: mcp__server__tool"),
        ("input_characters", WHOLE, "characters", "length of its input as JSON", "rule"),
        ("result_characters", WHOLE, "characters", "length of the text of its result; null where none came", "rule"),
        ("is_error", YES_NO, "", "whether the result says so; null where none came", "wire"),
        ("answered", YES_NO, "", "whether a result came", "rule"),
        ("result_exchange_id", TEXT, "", "the exchange that brought the result", "rule"),
        (
            "wire_ms", REAL, "ms",
            "from the end of the answer to the start of the request with the result: the tool, permission prompts, calls beside it",
            "proxy",
        ),
        ("client_ms", REAL, "ms", "what the client measured; null where it did not say, or not for this call alone", "wire: header"),
        ("node", TEXT, "", "the message with the call", "store"),
        ("result_node", TEXT, "", "the message with the result", "store"),
        Column("input", TEXT, "JSON", "the input", "wire", body=True),
        Column("result", TEXT, "", "the text of the result", "wire", body=True),
    ),
    order=("exchange_id", "tool_use_id"),
)  # fmt: skip

EVENTS = Grain(
    "events",
    "event of a streamed answer",
    _columns(
        EXCHANGE,
        ("position", WHOLE, "", "place in the stream, from 0", "proxy"),
        ("arrived_at", MOMENT, "UTC", "when it arrived", "proxy"),
        ("at_ms", REAL, "ms", "the same, from the start of the request", "proxy"),
        ("gap_ms", REAL, "ms", "since the event before; the first, since the start of the request", "proxy"),
        ("kind", TEXT, "", "type of the event; of a content_block_delta the type of its delta", "wire"),
        ("bytes", WHOLE, "bytes", "length of its data", "wire"),
    ),
    order=("exchange_id", "position"),
)

PROMPT_PARTS = Grain(
    "prompt_parts",
    "system block or tool of a prompt",
    _columns(
        ("preamble", TEXT, "", "the set that it belongs to", "store: preambles.digest, in hex"),
        ("position", WHOLE, "", "place in the set, tools first, from 0", "wire"),
        ("kind", TEXT, "", "system or tool", "wire"),
        ("name", TEXT, "", "name of the tool; null for a system block", "wire"),
        ("part", TEXT, "", "digest of the part without `cache_control`: the same for the same text", "store"),
        ("bytes", WHOLE, "bytes", "length of its JSON", "store"),
        Column("json", TEXT, "JSON", "the part as first seen", "wire", body=True),
    ),
    order=("preamble", "position"),
)

GRAINS: dict[str, Grain] = {
    grain.name: grain for grain in (EXCHANGES, SESSIONS, THREADS, MESSAGES, BLOCKS, TOOL_CALLS, EVENTS, PROMPT_PARTS)
}


def columns(grain: str | None = None) -> pl.DataFrame:
    """Return the dictionary of one grain, or of all: a frame with grain, name, type, unit, meaning, source and body.

    Raises ValueError, with the names that there are, for a grain that there is not.
    """
    if grain is not None and grain not in GRAINS:
        raise ValueError(f'there is no frame "{grain}"; there are {", ".join(GRAINS)}')
    rows = [
        (found.name, column.name, type_name(column.type), column.unit, column.meaning, column.source, column.body)
        for found in GRAINS.values()
        if grain in (None, found.name)
        for column in found.columns
    ]
    names = {"grain": TEXT, "name": TEXT, "type": TEXT, "unit": TEXT, "meaning": TEXT, "source": TEXT, "body": YES_NO}
    return pl.DataFrame(rows, schema=names, orient="row")


def type_name(kind: Type) -> str:
    """Return a type as a person would say it."""
    names: dict[Type, str] = {TEXT: "text", WHOLE: "integer", REAL: "number", YES_NO: "true/false", MOMENT: "time"}
    return names.get(kind, "list of texts")


def document() -> str:
    """Return the dictionary as the page `analysis/COLUMNS.md`."""
    parts = [
        "# Columns\n",
        "What each frame of `analysis`, each view of `cap.sql` and each exported file holds. Made from",
        "`analysis/dictionary.py`; columns in *italics* can be long, and frames have them with `bodies=True` only.\n",
    ]
    for grain in GRAINS.values():
        parts += [
            f"## {grain.name}\n",
            f"One row per {grain.row}.\n",
            "| column | type | unit | meaning | from |",
            "|---|---|---|---|---|",
        ]
        for column in grain.columns:
            name = f"*{column.name}*" if column.body else f"`{column.name}`"
            cells = (name, type_name(column.type), column.unit, column.meaning, column.source)
            parts.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        parts.append("")
    return "\n".join(parts)
