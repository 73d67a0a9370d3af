"""Why an answer ended: finish reasons of Chat Completions as Anthropic's stop reasons.

Knows the reasons of OpenAI and of compatible servers, and those that are failures. Refuses to know stop sequences: Chat Completions
does not tell which one was met.
"""

from __future__ import annotations

_REASONS = {
    "stop": "end_turn",
    "eos": "end_turn",  # Together
    "eos_token": "end_turn",  # Hugging Face
    "stop_sequence": "end_turn",
    "end_turn": "end_turn",  # servers in front of Anthropic's API
    "length": "max_tokens",
    "max_tokens": "max_tokens",
    "model_length": "max_tokens",  # Mistral: the model's own limit
    "tool_calls": "tool_use",
    "tool_use": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
}
# Reasons that are no end of an answer: it broke off, and a client that takes it for whole is misled.
FAILURES = {
    "error": ("api_error", "the model broke off with an error"),  # OpenRouter, Mistral
    "insufficient_system_resource": ("overloaded_error", "the model broke off for lack of resources"),  # DeepSeek
    "abort": ("api_error", "the model was stopped"),  # vLLM, SGLang
}


def stop_reason(finish: str | None, *, called: bool, refused: bool) -> tuple[str, bool]:
    """Return the stop reason, and whether `finish` is one that is known.

    `called` says that the answer has a tool call, `refused` that it has a refusal. A call is to be answered whichever way its
    turn was ended, and without a call there is nothing to answer: clients go by the stop reason.
    """
    known = None if finish is None else _REASONS.get(finish.lower())
    if known in ("max_tokens", "refusal"):
        return known, True
    if called:
        return "tool_use", known is not None
    return "refusal" if refused else "end_turn", known not in (None, "tool_use")
