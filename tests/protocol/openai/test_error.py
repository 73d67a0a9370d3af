"""Errors of providers as Anthropic's: types and statuses, the message wherever it stands, and what clients recover from."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccproxy.protocol.demotion import ERROR_STATUS
from ccproxy.protocol.openai.error import MOST_OF_A_MESSAGE, stream_error, to_error
from tests.support import wire


def _openai(message: str, kind: str | None = "invalid_request_error", code: Any = None) -> bytes:
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()


STATUSES = {
    400: (400, "invalid_request_error"),
    401: (401, "authentication_error"),
    402: (402, "billing_error"),
    403: (403, "permission_error"),
    404: (404, "not_found_error"),
    405: (400, "invalid_request_error"),
    408: (504, "timeout_error"),
    409: (500, "api_error"),
    413: (413, "request_too_large"),
    422: (400, "invalid_request_error"),
    429: (429, "rate_limit_error"),
    498: (529, "overloaded_error"),
    500: (500, "api_error"),
    502: (500, "api_error"),
    503: (529, "overloaded_error"),
    504: (504, "timeout_error"),
    524: (504, "timeout_error"),
    529: (529, "overloaded_error"),
    302: (500, "api_error"),
    599: (500, "api_error"),
}


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_has_its_type(status: int) -> None:
    """A provider's status becomes the one that Anthropic answers with in the same case, and the type that belongs to it."""
    wanted_status, kind = STATUSES[status]
    assert to_error(status, _openai("no"), "openai") == (
        wanted_status,
        {"type": "error", "error": {"type": kind, "message": "openai: no"}},
    )
    assert ERROR_STATUS[kind] == wanted_status


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, _openai("You exceeded your current quota", "insufficient_quota", "insufficient_quota")),
        (429, _openai("Your account is suspended", "exceeded_current_quota_error")),
        (403, _openai("Not active", None, "billing_not_active")),
        (402, b'{"error":{"message":"Insufficient credits","code":402}}'),
    ],
)
def test_no_more_money_is_no_rate_limit(status: int, body: bytes) -> None:
    """Where the account has no money left, trying again does not help, so clients are not told to, whatever the status was."""
    got, payload = to_error(status, body, "p")
    assert (got, payload["error"]["type"]) == (402, "billing_error")


# Where providers put the message, and what of it the client reads.
BODIES: dict[str, tuple[bytes, str]] = {
    "OpenAI": (_openai("That is wrong."), "That is wrong."),
    "a text": (b'{"error":"model not found"}', "model not found"),
    "a code beside a text, as xAI sends": (b'{"code":"invalid-argument","error":"Wrong key."}', "Wrong key."),
    "a message alone, as Mistral sends": (
        b'{"object":"error","message":"Bad tool","type":"x","code":"3051"}',
        "Bad tool",
    ),
    "a message with details": (b'{"message":{"detail":[{"msg":"too short"}]}}', "too short"),
    "detail": (b'{"detail":"Invalid API Key"}', "Invalid API Key"),
    "FastAPI": (
        b'{"detail":[{"loc":["body","messages",0],"msg":"field required","type":"missing"},{"msg":"and more"}]}',
        "body.messages.0: field required; and more",
    ),
    "a list, as Gemini sends": (b'[{"error":{"code":400,"message":"No key","status":"INVALID_ARGUMENT"}}]', "No key"),
    "the sentence rather than the status": (b'{"error":"Bad Request","message":"body must be an object"}', "body must be an object"),
    "a problem": (b'{"title":"Denied","status":401,"detail":"expired"}', "expired"),
    "OpenRouter, and what stood behind it": (
        b'{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\\"a\\":1}","provider_name":"G"}}}',
        'Provider returned error: {"a":1}',
    ),
    "a page": (
        b"<!DOCTYPE html><html><head><title>\n 502 Bad\n Gateway</title></head><body>long</body></html>",
        "502 Bad Gateway",
    ),
    "a page without a title": (b"<html><body>long</body></html>", "the provider answered with status 400"),
    "plain text": (b"upstream connect error\n", "upstream connect error"),
    "nothing": (b"", "the provider answered with status 400"),
    "an empty object": (b"{}", "the provider answered with status 400"),
    "null": (b"null", "the provider answered with status 400"),
    "numbers": (b'{"error":{"message":5,"type":[]}}', "the provider answered with status 400"),
    "no UTF-8": (b'{"error":{"message":"caf\xe9"}}', "caf�"),
    "no UTF-8 and no JSON": (b"caf\xe9", "caf�"),
    "a JSON text": (b'"just that"', "just that"),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_the_message_is_found(name: str) -> None:
    """The provider's own sentence reaches the client wherever it stands, after the provider's name; a page is not repeated."""
    body, message = BODIES[name]
    status, payload = to_error(400, body, "openai")
    assert (status, payload["error"]) == (400, {"type": "invalid_request_error", "message": f"openai: {message}"})


def test_a_provider_without_a_name_is_not_named() -> None:
    """Where no name is given, the message stands alone."""
    assert to_error(400, _openai("no"), "")[1]["error"]["message"] == "no"


def test_a_long_message_is_cut() -> None:
    """A provider that repeats the request in its error does not flood the client."""
    assert len(to_error(400, _openai("x" * 10**6), "p")[1]["error"]["message"]) < MOST_OF_A_MESSAGE + 10


# Real wordings of providers (shortened at most), and Anthropic's, as far as their counts allow.
TOO_LONG = {
    "OpenAI now": (
        _openai("Your input exceeds the context window of this model.", code="context_length_exceeded"),
        "prompt is too long (",
    ),
    "OpenAI before": (
        _openai(
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens. "
            "Please reduce the length of the messages.",
            code="context_length_exceeded",
        ),
        "prompt is too long: 9001 tokens > 8192 maximum (",
    ),
    "a code alone": (_openai("Please reduce it.", code="context_length_exceeded"), "prompt is too long ("),
    "DeepSeek": (
        _openai(
            "This model's maximum context length is 65536 tokens. However, you requested 70000 tokens (70000 in the "
            "messages, 0 in the completion). Please reduce the length of the messages or completion.",
            code="invalid_request_error",
        ),
        "prompt is too long: 70000 tokens > 65536 maximum (",
    ),
    "an answer that does not fit": (
        _openai(
            "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (4500 in the "
            "messages, 500 in the functions, and 4000 in the completion)."
        ),
        "input length and `max_tokens` exceed context limit: 5000 + 4000 > 8192 (",
    ),
    "vLLM, an answer that does not fit": (
        b'{"object":"error","message":"\'max_tokens\' or \'max_completion_tokens\' is too large: 4096. This model\'s '
        b'maximum context length is 4096 tokens and your request has 10 input tokens (4096 > 4096 - 10).","code":400}',
        "input length and `max_tokens` exceed context limit: 10 + 4096 > 4096 (",
    ),
    "OpenRouter": (
        b'{"error":{"message":"This endpoint\'s maximum context length is 200000 tokens. However, you requested about '
        b'2500021 tokens (2500021 of text input).","code":400}}',
        "prompt is too long: 2500021 tokens > 200000 maximum (",
    ),
    "llama.cpp": (
        b'{"error":{"code":400,"message":"request (12345 tokens) exceeds the available context size (4096 tokens), '
        b'try increasing it","type":"exceed_context_size_error"}}',
        "prompt is too long: 12345 tokens > 4096 maximum (",
    ),
    "Mistral": (
        b'{"object":"error","message":"Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 '
        b'maximum context length","type":"invalid_request_prompt"}',
        "prompt is too long: 40000 tokens > 32768 maximum (",
    ),
    "xAI": (
        b'{"code":"x","error":"This model\'s maximum prompt length is 131072 but the request contains 200000 tokens."}',
        "prompt is too long: 200000 tokens > 131072 maximum (",
    ),
    "Moonshot": (
        _openai("Invalid request: Your request exceeded model token limit: 131072"),
        "prompt is too long (",
    ),
    "Hugging Face": (
        b'{"error":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` '
        b'tokens and 200 `max_new_tokens`"}',
        "input length and `max_tokens` exceed context limit: 4000 + 200 > 4096 (",
    ),
    "Fireworks": (
        _openai("The prompt is too long: 200000, model maximum context length: 131071"),
        "prompt is too long: 200000 tokens > 131071 maximum (",
    ),
}


@pytest.mark.parametrize("name", TOO_LONG)
def test_a_request_that_is_too_long_is_worded_as_anthropic_words_it(name: str) -> None:
    """Claude Code compacts, or asks for less, by Anthropic's sentence, so it is told first, with the provider's own after it."""
    body, wanted = TOO_LONG[name]
    status, payload = to_error(400, body, "p")
    assert (status, payload["error"]["type"]) == (400, "invalid_request_error")
    message = payload["error"]["message"]
    assert message.startswith(wanted), message
    assert "(p: " in message


def test_claude_code_reads_the_counts() -> None:
    """The patterns by which Claude Code takes the counts out of both sentences find them."""
    message = to_error(400, TOO_LONG["DeepSeek"][0], "p")[1]["error"]["message"]
    found = re.search(r"prompt is too long[^0-9]*(\d+)\s*tokens?\s*>\s*(\d+)", message, re.IGNORECASE)
    assert found is not None
    assert found.groups() == ("70000", "65536")
    message = to_error(400, TOO_LONG["an answer that does not fit"][0], "p")[1]["error"]["message"]
    found = re.search(r"input length and `max_tokens` exceed context limit: (\d+) \+ (\d+) > (\d+)", message)
    assert found is not None
    assert found.groups() == ("5000", "4000", "8192")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, _openai("Rate limit reached: too many tokens for the context window per minute", code="rate_limit_exceeded")),
        (413, _openai("Request too large: tokens per minute (TPM): Limit 6000, Requested 8000", "tokens", "rate_limit_exceeded")),
        (400, _openai("string too long. Expected a string with maximum length 10485760", code="string_above_max_length")),
        (400, _openai("max_tokens is too large: 99999. This model supports at most 16384 completion tokens")),
        (401, _openai("prompt is too long")),
    ],
)  # fmt: skip
def test_other_limits_are_not_taken_for_a_long_prompt(status: int, body: bytes) -> None:
    """A shorter conversation helps against none of these, so clients are not made to shorten it."""
    assert to_error(status, body, "p")[1]["error"]["message"].startswith("p: ")


# An error in place of a chunk, and its type.
IN_STREAMS: dict[str, tuple[Any, str]] = {
    "a status as number": ({"code": 429, "message": "m"}, "rate_limit_error"),
    "a status as text": ({"code": "502", "message": "m"}, "api_error"),
    "a status of its own": ({"type": "invalid_request_error", "status_code": 503, "message": "m"}, "overloaded_error"),
    "a code before a type": (
        {"type": "invalid_request_error", "code": "rate_limit_exceeded", "message": "m"},
        "rate_limit_error",
    ),
    "a type": ({"type": "invalid_request_error", "code": "tool_use_failed", "message": "m"}, "invalid_request_error"),
    "OpenAI's": ({"type": "server_error", "code": None, "message": "m"}, "api_error"),
    "Anthropic's": ({"type": "overloaded_error", "message": "m"}, "overloaded_error"),
    "no more money": ({"type": "insufficient_quota", "message": "m"}, "billing_error"),
    "vLLM's": ({"object": "error", "type": "BadRequestError", "message": "m", "code": 400}, "invalid_request_error"),
    "a text": ("m", "api_error"),
    "inside": ({"error": {"code": 404, "message": "m"}}, "not_found_error"),
}


@pytest.mark.parametrize("name", IN_STREAMS)
def test_an_error_without_a_status_has_a_type(name: str) -> None:
    """In the middle of a stream the error itself says what it is: by a status in it, by its code, or by its type."""
    error, kind = IN_STREAMS[name]
    assert stream_error(error, "p") == {"type": "error", "error": {"type": kind, "message": "p: m"}}


def test_an_error_without_a_word_is_an_error() -> None:
    """An error that says nothing is told as one all the same, with a sentence."""
    assert stream_error({}, "p")["error"] == {"type": "api_error", "message": "p: the provider gave no reason"}


def test_a_prompt_that_is_too_long_is_told_in_a_stream_too() -> None:
    """Some servers accept a request and find it too long in the stream; the client recovers from that as well."""
    error = stream_error({"message": "maximum context length is 10 tokens. you requested 20 tokens"}, "p")
    assert error["error"]["message"].startswith("prompt is too long: 20 tokens > 10 maximum (")


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["error", "message", "detail", "code", "type", "loc", "msg", "metadata", "raw", "status", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(
    st.integers(100, 999),
    st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()),
    st.text(max_size=5),
)
def test_anything_is_an_error(status: int, body: bytes, provider: str) -> None:
    """Whatever a provider answers, the client gets a status, a type and a sentence of Anthropic's, and nothing raises."""
    got, payload = to_error(status, body, provider)
    assert got == ERROR_STATUS[payload["error"]["type"]]
    assert payload["error"]["message"]


def test_deep_nesting_is_no_trap() -> None:
    """An error that is nested without an end is one without a message."""
    body = b'{"error":' * 100_000 + b"1" + b"}" * 100_000
    assert to_error(500, body, "p")[0] == 500
    assert to_error(500, b'{"error":' * 300 + b'"deep"' + b"}" * 300, "p")[0] == 500


def _recorded() -> list[str]:
    index = wire.FOLDER / "index.json"
    entries = json.loads(index.read_text()) if index.exists() else []
    return [entry["file"] for entry in entries if entry["kind"] == "openai_style_error"] or ["no recorded errors"]


@wire.needs_wire
@pytest.mark.parametrize("file", _recorded())
def test_recorded_errors_come_over(file: str) -> None:
    """Each recorded error of a compatible server keeps its sentence, has the type of its status, and names the provider."""
    body = (wire.FOLDER / file).read_bytes()
    status = json.loads((wire.FOLDER / f"{file.removesuffix('.json')}.headers.json").read_text())["status"]
    got, payload = to_error(status, body, "provider")
    recorded = json.loads(body)
    error = recorded.get("error", recorded.get("detail"))
    sentence = error["message"] if isinstance(error, dict) else error
    assert sentence in payload["error"]["message"]
    assert "provider: " in payload["error"]["message"]
    assert (got, payload["error"]["type"]) == STATUSES[status]
