"""How hard the model shall think: effort and thinking of a Messages request, said as `reasoning_effort`.

Refuses to know which model takes what: that is the dialect's. An effort for a model that cannot reason is passed over without a word,
since Claude Code sends one always; a budget of thinking that was asked for is told as a loss.
"""

from __future__ import annotations

import msgspec

from ccproxy.protocol.openai.dialect import Dialect
from ccproxy.protocol.openai.ledger import Ledger
from ccproxy.protocol.openai.raw import count_in, object_in, text_in, unsaid

_RISING = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_MEMBERS = {"type", "budget_tokens", "display"}
_NO_THINKING = ("none", "minimal")

# Which effort a budget of thinking tokens stands for: Google maps its own efforts to 1,024, 8,192 and 24,576 tokens in its
# OpenAI-compatible API (https://ai.google.dev/gemini-api/docs/openai). What Claude Code used to send, 4,000, 10,000 and 31,999,
# comes to low, medium and high.
_FROM_MEDIUM, _FROM_HIGH = 8_192, 24_576


def reasoning_effort(
    thinking: msgspec.Raw | None, effort: str | None, tools: bool, model: str, dialect: Dialect, losses: Ledger
) -> str | None:
    """Return `reasoning_effort`, or None where the request shall not have it.

    `thinking` is the request's member of this name, `effort` what the client asks for now, `tools` whether functions are offered.
    """
    asked = object_in(thinking) or {}
    kind, budget = text_in(asked.get("type")), count_in(asked.get("budget_tokens"))
    for name in unsaid(asked, _MEMBERS):
        losses.add(f"thinking.{name} is left out")
    if not dialect.reasons:
        if kind == "enabled":
            losses.add(f"thinking is left out: {model} is not known to take reasoning_effort")
        return None
    if tools and not dialect.thinks_with_tools:
        if kind != "disabled":
            losses.add(f"reasoning_effort is none: {model} takes functions in Chat Completions only without reasoning")
        return "none"
    wanted = _wanted(kind, budget, effort, losses)
    return None if wanted is None else _nearest(wanted, model, dialect, losses)


def _wanted(kind: str | None, budget: int | None, effort: str | None, losses: Ledger) -> str | None:
    """Return the effort that the client would ask for in one word."""
    if kind == "disabled":
        return "none"
    if effort is not None and effort not in _RISING:
        losses.add(f"effort {effort} is left out: nobody knows it")
        effort = None
    if kind != "enabled" or budget is None:
        return effort
    said = effort or ("low" if budget < _FROM_MEDIUM else "medium" if budget < _FROM_HIGH else "high")
    losses.add(f"a thinking budget of {budget} tokens is said as effort {said}")
    return said


def _nearest(wanted: str, model: str, dialect: Dialect, losses: Ledger) -> str:
    """Return the highest effort that the model takes and that is not above the wanted one; its lowest where there is none."""
    height = _RISING.index(wanted)
    said = max(
        (one for one in dialect.efforts if _RISING.index(one) <= height), key=_RISING.index, default=dialect.efforts[0]
    )
    if wanted == "none" and said not in _NO_THINKING:
        losses.add(f"thinking cannot be turned off: {model} is asked for effort {said}")
    elif wanted not in {said, "none"}:
        losses.add(f"effort {wanted} is said as {said}: {model} takes {', '.join(dialect.efforts)}")
    return said
