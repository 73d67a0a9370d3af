"""Requests that are too long for a model: how providers say it, and how Anthropic does.

Claude Code shortens a conversation when it reads Anthropic's first sentence, and asks for a shorter answer when it reads the second.
Knows the wordings of OpenAI, OpenRouter, DeepSeek, vLLM, llama.cpp, Mistral, xAI, Moonshot, Hugging Face, Fireworks and Alibaba.
Refuses to know which status such an answer has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_CODES = {"context_length_exceeded", "exceed_context_size_error"}
_SAID = re.compile(
    r"maximum context length|context window|available context size|maximum prompt length|prompt is too long"
    r"|too large for model with|exceeded model token limit|longer than the (?:maximum )?model|range of input length|`inputs` tokens",
    re.IGNORECASE,
)
_LIMIT = re.compile(
    r"(?:maximum context length|maximum prompt length|token limit)(?: is| of|:) ?(\d+)"
    r"|context size \((\d+)|with (\d+) maximum context|must be <= (\d+)",
    re.IGNORECASE,
)
_PROMPT = re.compile(
    r"(\d+) (?:in the messages|in the functions|of text input|of tool input|input tokens|`inputs` tokens)",
    re.IGNORECASE,
)
_OUTPUT = re.compile(
    r"(\d+) (?:in the completion|in the output|`max_new_tokens`)|max_completion_tokens' is too large: (\d+)",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"(?:requested(?: about)?|resulted in|request contains|prompt contains|too long:|request \() ?(\d+)", re.IGNORECASE
)


def wording(text: str, names: Iterable[str]) -> str | None:
    """Return Anthropic's sentence for an error that says that a request is too long, by its text or its codes; else None.

    The counts are the provider's, where its text has them.
    """
    if not _CODES.intersection(names) and not _SAID.search(text):
        return None
    limit, output = _first(_LIMIT, text), _first(_OUTPUT, text)
    prompt = sum(int(count) for count in _PROMPT.findall(text)) or _first(_ASKED, text)
    if limit and prompt > limit:
        return f"prompt is too long: {prompt} tokens > {limit} maximum"
    if limit and output and prompt:
        return f"input length and `max_tokens` exceed context limit: {prompt} + {output} > {limit}"
    return "prompt is too long"


def _first(pattern: re.Pattern[str], text: str) -> int:
    """Return the first count that a pattern finds, or zero."""
    found = pattern.search(text)
    return int(next(filter(None, found.groups()))) if found else 0
