"""How the providers that speak Chat Completions differ in what a request to them may say.

Knows it by the host and the model's name, each rule with its source. Refuses to know keys and how a request is sent. Where nothing is
known of a host and a model, the form is chosen that every server takes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

Value = TypeVar("Value")

# OpenAI's model pages (https://developers.openai.com/api/docs/models), "max output tokens". The longest prefix counts.
_MOST_TOKENS = {
    "gpt-3.5-turbo": 4096,
    "gpt-35-turbo": 4096,
    "gpt-4": 8192,
    "gpt-4-0125": 4096,
    "gpt-4-1106": 4096,
    "gpt-4-turbo": 4096,
    "gpt-4-vision": 4096,
    "gpt-4.1": 32768,
    "gpt-4.5": 16384,
    "gpt-4o": 16384,
    "gpt-4o-2024-05-13": 4096,
    "chatgpt-4o": 16384,
    "gpt-5": 128000,
    "gpt-5-chat": 16384,
    "gpt-5.1-chat": 16384,
    "gpt-5.2-chat": 16384,
    "gpt-5.3-chat": 16384,
    "gpt-6": 128000,
    "o1": 100000,
    "o1-mini": 65536,
    "o1-preview": 32768,
    "o3": 100000,
    "o4": 100000,
    "codex": 100000,
}

# What `reasoning_effort` may be, in rising order. OpenAI's by generation: https://developers.openai.com/api/docs/guides/reasoning.
# Gemini: https://ai.google.dev/gemini-api/docs/openai; xAI: https://docs.x.ai/developers/model-capabilities/text/reasoning;
# DeepSeek: https://api-docs.deepseek.com/guides/thinking_mode.
_PLAIN_EFFORTS = ("low", "medium", "high")
_EFFORTS = {
    "o1": _PLAIN_EFFORTS,
    "o3": _PLAIN_EFFORTS,
    "o4": _PLAIN_EFFORTS,
    "codex": _PLAIN_EFFORTS,
    "gpt-5": ("minimal", *_PLAIN_EFFORTS),
    "gpt-5.1": ("none", *_PLAIN_EFFORTS),
    "gpt-oss": _PLAIN_EFFORTS,
    "gemini-2.5": _PLAIN_EFFORTS,
    "gemini-3": _PLAIN_EFFORTS,
    "grok-3-mini": ("low", "high"),
    "grok-4.3": ("none", *_PLAIN_EFFORTS),
    "grok-4.5": _PLAIN_EFFORTS,
    "grok-4.6": (*_PLAIN_EFFORTS, "xhigh"),
}
_EFFORTS_SINCE = (
    ((6, 0), ("none", *_PLAIN_EFFORTS, "xhigh", "max")),
    ((5, 2), ("none", *_PLAIN_EFFORTS, "xhigh")),
)
_DEEPSEEK_EFFORTS = (*_PLAIN_EFFORTS, "xhigh", "max")

# From here on OpenAI takes function tools in Chat Completions only beside `reasoning_effort: none`; since 5.6 also where it is not
# given at all. https://github.com/openai/openai-openapi/issues/541, https://github.com/BerriAI/litellm/pull/34569
_FIRST_WITHOUT_TOOLS_AND_THINKING = (5, 4)

_GENERATION = re.compile(r"gpt-(?!35)(\d+)(?:\.(\d+))?")  # gpt-35-turbo is Azure's name of gpt-3.5-turbo
_O_SERIES = re.compile(r"o[134](?![a-z0-9])|codex(?![a-z0-9])")
_OPENAI_MODEL = re.compile(r"gpt-\d|chatgpt-|o[134](?![a-z0-9])|codex(?![a-z0-9])")
_MISTRAL_MODEL = re.compile(r"(open-)?(mistral|mixtral|ministral|codestral|devstral|magistral|pixtral|voxtral)")
_XAI_REASONING = re.compile(r"grok-(3-mini|4|code)(?!.*non-reasoning)")


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a request to one model of one provider looks like.

    `tokens_field` is the member that limits the answer's length, `most_tokens` the highest value it may have (None: any).
    `reasons` says whether the model takes `reasoning_effort`, `efforts` which values of it, in rising order, and
    `thinks_with_tools` whether any but "none" beside tools. `samples` says whether it takes temperature and top_p, `stops` whether
    stop sequences, `parallel` whether `parallel_tool_calls`. `systems_anywhere` says whether a system message may stand elsewhere
    than first, `streams_usage` whether `stream_options` is known. `short_ids` wants ids of tool calls of nine letters and digits,
    `bridges` an assistant message between tool results and what follows, `echoes` a `reasoning_content` on every assistant message.
    """

    tokens_field: str = "max_tokens"
    most_tokens: int | None = None
    reasons: bool = False
    samples: bool = True
    efforts: tuple[str, ...] = _PLAIN_EFFORTS
    thinks_with_tools: bool = True
    stops: bool = True
    parallel: bool = True
    systems_anywhere: bool = True
    streams_usage: bool = True
    short_ids: bool = False
    bridges: bool = False
    echoes: bool = False


def dialect_of(host: str, model: str, most_tokens: int | None = None) -> Dialect:
    """Return what a request to `model` at `host` may say. `host` is that of the provider's base URL, a port may follow.

    `most_tokens` is a configured limit of the answer's length; it goes before the known ones. A vendor's name before the model's
    (`openai/gpt-4o`, as OpenRouter has it) is passed over.
    """
    host = host.lower().partition(":")[0]
    name = model.lower().rsplit("/", 1)[-1].removeprefix("ft:")
    openai_host = _within(host, "openai.com") or _within(host, "openai.azure.com")
    thinks = _is_openai_reasoning(name)
    efforts = _efforts(host, name)
    mistral = _within(host, "mistral.ai") or _MISTRAL_MODEL.match(name) is not None
    return Dialect(
        # https://developers.openai.com/api/reference: max_tokens is deprecated, and refused by the reasoning models
        tokens_field="max_completion_tokens" if openai_host or thinks else "max_tokens",
        most_tokens=_of_longest_prefix(_MOST_TOKENS, name) if most_tokens is None else most_tokens,
        reasons=bool(efforts),
        samples=not thinks,
        efforts=efforts or _PLAIN_EFFORTS,
        thinks_with_tools=not thinks
        or _within(host, "openrouter.ai")
        or _generation(name) < _FIRST_WITHOUT_TOOLS_AND_THINKING,
        # "Not supported with reasoning models": OpenAI (https://github.com/huggingface/smolagents/pull/1662) and xAI's reference
        stops=not thinks and _XAI_REASONING.match(name) is None,
        # "Unsupported parameter": https://github.com/BerriAI/litellm/issues/8980
        parallel=_O_SERIES.match(name) is None,
        systems_anywhere=openai_host or _takes_systems_anywhere(host, name),
        # 422 "extra_forbidden"; usage comes unasked: https://github.com/dnakov/anon-kode/issues/53
        streams_usage=not _within(host, "mistral.ai"),
        # https://github.com/langchain-ai/langchain/pull/24668
        short_ids=mistral,
        # "Unexpected role 'user' after role 'tool'": https://github.com/zed-industries/zed/issues/37021
        bridges=mistral,
        # 400 without it: https://api-docs.deepseek.com/guides/thinking_mode, https://github.com/anomalyco/opencode/issues/10996
        echoes=any(_within(host, site) for site in ("deepseek.com", "moonshot.ai", "moonshot.cn", "kimi.com")),
    )


def _within(host: str, site: str) -> bool:
    return host == site or host.endswith("." + site)


def _generation(name: str) -> tuple[int, int]:
    """Return the generation of a GPT model, (5, 4) for gpt-5.4-mini; (0, 0) for any other."""
    found = _GENERATION.match(name)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def _is_openai_reasoning(name: str) -> bool:
    """Return whether this is a reasoning model of OpenAI's own; the chat variants of GPT-5 are none."""
    if _generation(name) >= (5, 0):
        return "-chat" not in name
    return _O_SERIES.match(name) is not None


def _efforts(host: str, name: str) -> tuple[str, ...]:
    """Return the values that `reasoning_effort` may have, none where the model is not known to take it."""
    if _within(host, "deepseek.com"):
        return _DEEPSEEK_EFFORTS
    if "-chat" in name or name.startswith(("o1-mini", "o1-preview")):
        return ()
    for since, efforts in _EFFORTS_SINCE:
        if _generation(name) >= since:
            return efforts
    return _of_longest_prefix(_EFFORTS, name) or ()


def _takes_systems_anywhere(host: str, name: str) -> bool:
    """Return whether system messages may stand inside the conversation.

    So it is with OpenAI's models and at xAI (https://docs.x.ai/docs/guides/chat, "No Order Limitation"). The chat templates of many
    open models refuse it (https://github.com/ggml-org/llama.cpp/issues/27367), and a server does not tell which template it has.
    """
    return _within(host, "x.ai") or _OPENAI_MODEL.match(name) is not None


def _of_longest_prefix(table: Mapping[str, Value], name: str) -> Value | None:
    prefix = max((prefix for prefix in table if name.startswith(prefix)), key=len, default=None)
    return None if prefix is None else table[prefix]
