"""Effort and thinking, said in one word."""

from __future__ import annotations

from typing import Any

import pytest

from ccproxy.protocol.openai.dialect import Dialect, dialect_of
from tests.support.chat_requests import translated

Object = dict[str, Any]
THINKS = Dialect(reasons=True, efforts=("minimal", "low", "medium", "high"))
TOOLS = [{"name": "Read", "input_schema": {"type": "object", "properties": {}}}]


def effort(request: Object, dialect: Dialect = THINKS, model: str = "gpt-5") -> tuple[Any, tuple[str, ...]]:
    chat, losses = translated(request, dialect, model)
    return chat.get("reasoning_effort"), losses


def asks(level: Any) -> Object:
    return {"output_config": {"effort": level}}


@pytest.mark.parametrize("level", ["low", "medium", "high"])
def test_an_effort_is_an_effort(level: str) -> None:
    """What both know by the same word is said by it."""
    assert effort(asks(level)) == (level, ())


@pytest.mark.parametrize(
    ("efforts", "level", "said"),
    [
        (THINKS.efforts, "xhigh", "high"),
        (THINKS.efforts, "max", "high"),
        (("low", "high"), "medium", "low"),
        (("high",), "low", "high"),
    ],
)
def test_an_effort_that_the_model_does_not_take(efforts: tuple[str, ...], level: str, said: str) -> None:
    """An effort that the model does not take becomes the next lower one that it takes, and that is told."""
    found, losses = effort(asks(level), Dialect(reasons=True, efforts=efforts), "o3")
    assert found == said
    assert losses == (f"effort {level} is said as {said}: o3 takes {', '.join(efforts)}",)


def test_the_highest_effort() -> None:
    """A model that takes the highest effort gets it."""
    assert effort(asks("max"), dialect_of("api.openai.com", "gpt-6-sol"), "gpt-6-sol") == ("max", ())


@pytest.mark.parametrize("level", [None, 5])
def test_no_effort(level: Any) -> None:
    """Without an effort the provider's own default counts."""
    assert effort(asks(level)) == (None, ())
    assert effort({"thinking": {"type": "adaptive", "display": "omitted"}}) == (None, ())


def test_an_effort_that_nobody_knows() -> None:
    """A word that is no effort is a loss."""
    assert effort(asks("heroic")) == (None, ("effort heroic is left out: nobody knows it",))


@pytest.mark.parametrize(
    ("budget", "said"), [(1024, "low"), (4000, "low"), (10000, "medium"), (24576, "high"), (31999, "high")]
)
def test_a_budget_becomes_an_effort(budget: int, said: str) -> None:
    """A budget of thinking tokens is said as the effort that stands for it, and told."""
    thinking = {"thinking": {"type": "enabled", "budget_tokens": budget}}
    assert effort(thinking) == (said, (f"a thinking budget of {budget} tokens is said as effort {said}",))
    assert effort({**thinking, **asks("medium")})[0] == "medium"


@pytest.mark.parametrize(
    ("efforts", "said", "losses"),
    [
        (("none", "low"), "none", ()),
        (("minimal", "low"), "minimal", ()),
        (("low", "high"), "low", ("thinking cannot be turned off: m is asked for effort low",)),
    ],
)
def test_thinking_that_is_turned_off(efforts: tuple[str, ...], said: str, losses: tuple[str, ...]) -> None:
    """Thinking that shall be off is asked for as little as the model can, and told where that is not nothing."""
    off = {"thinking": {"type": "disabled"}, **asks("high")}
    assert effort(off, Dialect(reasons=True, efforts=efforts), "m") == (said, losses)


def test_models_that_do_not_reason() -> None:
    """A model that cannot reason is asked for no effort; only a budget that was asked for is worth a word."""
    assert effort({"thinking": {"type": "adaptive"}, **asks("high")}, Dialect(), "gpt-4o") == (None, ())
    assert effort({"thinking": {"type": "disabled"}}, Dialect(), "gpt-4o") == (None, ())
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    assert effort(thinking, Dialect(), "gpt-4o") == (
        None,
        ("thinking is left out: gpt-4o is not known to take reasoning_effort",),
    )


def test_the_latest_effort_counts() -> None:
    """An effort that a system message asks for inside the conversation counts more than that of the request."""
    messages = [
        {"role": "user", "content": "x"},
        {"role": "system", "content": [], "output_config": {"effort": "medium"}},
        {"role": "system", "content": "note", "output_config": {"effort": "low"}},
        {"role": "system", "content": "note", "output_config": {}},
        {"role": "user", "content": "y", "output_config": None},
    ]
    assert effort({"messages": messages, **asks("high")}) == ("low", ())


def test_tools_without_reasoning() -> None:
    """A model that takes tools only without reasoning is told to do without, always, and that is told."""
    dialect, model = dialect_of("api.openai.com", "gpt-5.6"), "gpt-5.6"
    told = ("reasoning_effort is none: gpt-5.6 takes functions in Chat Completions only without reasoning",)
    assert effort({"tools": TOOLS}, dialect, model) == ("none", told)
    assert effort({"tools": TOOLS, **asks("high")}, dialect, model) == ("none", told)
    assert effort({"tools": TOOLS, "thinking": {"type": "disabled"}}, dialect, model) == ("none", ())
    assert effort(asks("high"), dialect, model) == ("high", ())


def test_what_else_thinking_says_is_told() -> None:
    """A member of thinking that nobody has heard of is a loss."""
    assert effort({"thinking": {"type": "adaptive", "style": "loud"}})[1] == ("thinking.style is left out",)
    assert effort({"thinking": "please"}) == (None, ())
