"""The real Claude Code's sessions, as analysis sees them: its own tokens, turns and dollars, and why a cache missed.

The stand-in counts tokens and plays the provider's prompt cache on the very bytes that the client sends, at a time of the test's own.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import analysis
from analysis import measures
from ccproxy.demo.caching import PromptCache
from tests.support.anthropic_messages import Usage
from tests.support.claude_code import claude_or_skip, run_claude
from tests.support.claude_script import ClaudeScript
from tests.support.proxy import Proxy
from tests.support.standin import StandIn
from tests.support.standin_answers import Request

pytestmark = pytest.mark.client

MODEL, OTHER_MODEL = "claude-opus-5-5", "claude-sonnet-5-5"
MINUTE = 60_000_000  # of the cache's time, in µs


@dataclass(slots=True)
class Provider:
    """Counts requests as a provider with a prompt cache does. `now` is the cache's time, which tests move."""

    now: int = 0
    cache: PromptCache = field(default_factory=PromptCache)

    def counts(self, request: Request) -> Usage:
        """Return what a request costs."""
        taken = self.cache.take(request.json(), self.now)
        self.cache.keep(taken, self.now)
        counted = taken.counted
        return Usage(counted.input, 40, counted.read, counted.written_5m, counted.written_1h)

    def script(self, turns: int, subagent: str | None = None) -> ClaudeScript:
        """Return a script whose answers tell this."""
        return ClaudeScript(turns, subagent, counts=self.counts)


async def ask(proxy: Proxy, home: Path, prompt: str, *arguments: str) -> dict[str, Any]:
    """Run one prompt through the real client."""
    home.mkdir(exist_ok=True)
    arguments = arguments if "--model" in arguments else ("--model", MODEL, *arguments)
    return await run_claude(
        prompt, proxy.url, home, {"CLAUDE_CODE_GATEWAY_HINT_HEADERS": "1"}, arguments=arguments, timeout=90
    )


async def captured(proxy: Proxy, up: StandIn) -> analysis.Capture:
    """Return what was captured, once all of it is in the store. The store is read by DuckDB from here on."""
    await proxy.ended(sum(request.path.startswith("/v1/") for request in up.requests))
    await proxy.stop()
    return await asyncio.to_thread(analysis.open, proxy.db)


def breaks(cap: analysis.Capture, exchanges: pl.LazyFrame | None = None) -> pl.DataFrame:
    """Return the breaks of the main conversation that cost something."""
    found = measures.breaks(cap.exchanges() if exchanges is None else exchanges, cap.messages(), cap.prompt_parts())
    return found.filter(pl.col("thread_id").str.ends_with("/main"), pl.col("cause") != "first_request").collect()


async def test_tokens_turns_and_dollars_are_the_client_s_own(tmp_path: Path) -> None:
    """Of 21 turns analysis tells the tokens, the turns and the dollars that the client's own result tells, and no break."""
    claude_or_skip()
    async with StandIn(Provider().script(21)) as up, Proxy(up.url, tmp_path / "proxy") as proxy:
        result = await ask(proxy, tmp_path / "home", "Do the steps.")
        with await captured(proxy, up) as cap:
            [session] = cap.sessions().collect().rows(named=True)
            main = cap.exchanges().filter(pl.col("kind") == "main").collect()
            priced = cap.exchanges().pipe(measures.cost).collect()
            assert breaks(cap).rows(named=True) == []
    assert (session["session_id"], session["turns"], main.height) == (result["session_id"], 21, result["num_turns"])
    told = result["usage"]
    assert main["input_tokens"].sum() == told["input_tokens"]
    assert main["cache_read_tokens"].sum() == told["cache_read_input_tokens"]
    assert main["cache_write_tokens"].sum() == told["cache_creation_input_tokens"]
    assert main["output_tokens"].sum() == told["output_tokens"]
    assert priced["cost_usd"].sum() == pytest.approx(result["total_cost_usd"], rel=1e-6)


async def test_a_subagent_s_share_is_told_apart(tmp_path: Path) -> None:
    """A subagent is a thread below the call that started it, with its tokens and its dollars; all threads sum to the client's total."""
    async with StandIn(Provider().script(3, "general-purpose")) as up, Proxy(up.url, tmp_path / "proxy") as proxy:
        result = await ask(proxy, tmp_path / "home", "Do the steps.")
        with await captured(proxy, up) as cap:
            tree = measures.agents(cap.threads(), cap.exchanges()).collect()
            calls = cap.tool_calls().filter(pl.col("tool_name") == "Agent").collect()
            threads = cap.threads().collect()
            total = cap.exchanges().pipe(measures.cost).select(pl.col("cost_usd").sum()).collect().item()
    [main] = tree.filter(pl.col("agent") == "main").rows(named=True)
    [agent] = tree.filter(pl.col("agent") != "main").rows(named=True)
    assert (agent["agent"], agent["parent_thread_id"], agent["exchanges"]) == ("general-purpose", main["thread_id"], 2)
    assert threads.filter(pl.col("depth") == 1)["spawn_tool_use_id"].to_list() == calls["tool_use_id"].to_list()
    assert main["total_cost_usd"] == pytest.approx(main["cost_usd"] + agent["cost_usd"])
    assert total == pytest.approx(result["total_cost_usd"], rel=1e-6)


@pytest.mark.parametrize(
    ("cause", "before", "then"),
    [
        ("model_changed", (), ("--model", OTHER_MODEL)),
        ("tools_changed", ("--disallowedTools", "Write"), ()),
    ],
)
async def test_an_induced_break_is_explained(
    tmp_path: Path, cause: str, before: tuple[str, ...], then: tuple[str, ...]
) -> None:
    """Where a session goes on with another model, or with a tool more, that is what the explainer says, once."""
    provider = Provider()
    script = provider.script(4)
    async with StandIn(script) as up, Proxy(up.url, tmp_path / "proxy") as proxy:
        first = await ask(proxy, tmp_path / "home", "Do the steps.", *before)
        script.turns = 6
        await ask(proxy, tmp_path / "home", "Go on.", "--resume", first["session_id"], *then)
        with await captured(proxy, up) as cap:
            found = breaks(cap)
    assert found["cause"].to_list() == [cause]
    assert found["lost_tokens"].item() > 1000
    assert found["lost_usd"].item() > 0


async def test_six_minutes_let_the_cache_expire(tmp_path: Path) -> None:
    """A pause of six minutes, by the clock, is what made the cache miss; nothing else changed."""
    provider = Provider()
    script = provider.script(4)
    async with StandIn(script) as up, Proxy(up.url, tmp_path / "proxy") as proxy:
        first = await ask(proxy, tmp_path / "home", "Do the steps.")
        before = len([request for request in up.requests if request.is_message])
        script.turns, provider.now = 6, 6 * MINUTE
        await ask(proxy, tmp_path / "home", "Go on.", "--resume", first["session_id"])
        with await captured(proxy, up) as cap:
            later = cap.exchanges().filter(pl.col("path") == "/v1/messages").collect()["exchange_id"].sort()[before:]
            paused = pl.col("exchange_id").is_in(later.implode())
            waited = cap.exchanges().with_columns(
                pl.when(paused).then(pl.col("started_at") + timedelta(minutes=6)).otherwise(pl.col("started_at"))
            )
            found = breaks(cap, waited)
    assert json.loads(found.select("cause").write_json()) == [{"cause": "ttl_expired_5m"}]
