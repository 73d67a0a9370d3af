# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What do tools cost?
#
# Time, while a call runs. Tokens, when its result comes. The same tokens again with every later request, for the result stays in the
# conversation. And a tool that is never called costs too: its description is sent each time.

# %%
import altair as alt
import polars as pl

import analysis
import look
from analysis import measures

cap = analysis.demo()  # analysis.open() for your own captures
cap

# %% [markdown]
# ## How long they take
#
# Two clocks are known. The **wire** shows the time from the answer with the call to the request with the result: with it come the
# permission prompt and calls made side by side. The **client** says for some calls how long the tool alone ran.

# %%
(
    measures.tools(cap.tool_calls())
    .select(
        "tool_name",
        "calls",
        "errors",
        *(
            (pl.col(f"wire_{name}_ms") / 1000).round(1).alias(f"{name} (s)")
            for name in ("p50", "p95", "max")
        ),
        "result_characters",
    )
    .head(10)
    .collect()
)

# %%
PARTS = {"the tool itself": look.ACCENT, "permission and the rest": look.LINE}

both = (
    cap.tool_calls()
    .drop_nulls(["client_ms", "wire_ms"])
    .group_by("tool_name")
    .agg(
        (pl.col("client_ms").sum() / 60_000).alias("the tool itself"),
        ((pl.col("wire_ms") - pl.col("client_ms")).clip(0).sum() / 60_000).alias(
            "permission and the rest"
        ),
    )
    .sort(pl.sum_horizontal(*PARTS), descending=True)
    .head(8)
    .collect()
)
minutes = both.unpivot(list(PARTS), index="tool_name", variable_name="part", value_name="minutes")
alt.Chart(minutes, title="Is it the tool that takes the time?").mark_bar().encode(
    x=alt.X("minutes:Q", title="time of all calls that both clocks know (minutes)"),
    y=alt.Y("tool_name:N", title=None, sort=both["tool_name"].to_list()),
    **look.series("part", PARTS),
).properties(height=200)

# %% [markdown]
# Mostly it is not: files are written in no time once somebody has allowed it, and even of Bash's minutes two thirds are the wait.

# %% [markdown]
# ## What went wrong
#
# `is_error` is what the result itself says.

# %%
calls = cap.tool_calls(bodies=True)
calls.filter("is_error").select("called_at", "tool_name", "input", "result").head(8).collect()

# %% [markdown]
# ## What was called twice
#
# The same call with the same input in one session. Not each is a mistake: a file is read again after it was changed.

# %%
measures.repeats(calls).select(
    "tool_name",
    "calls",
    "wasted_characters",
    "input",
).head(8).collect()

# %% [markdown]
# ## What a result goes on costing
#
# `measures.tool_results` follows each result through every request that carried it on, and gives it its share of what their input
# cost.

# %%
NAMES = ("file_path", "command", "pattern", "url", "query", "description")
said = pl.coalesce(pl.col("input").str.json_path_match(f"$.{name}") for name in NAMES)
results = (
    measures.tool_results(
        cap.exchanges(),
        cap.messages(),
        cap.blocks(),
        cap.prompt_parts(),
        prices=cap.prices,
    )
    .join(
        calls.select("session_id", "tool_use_id", said.alias("said")),
        on=["session_id", "tool_use_id"],
    )
    .sort("cost_usd", descending=True, nulls_last=True)
    .collect()
)
dearest = results.head(10).select(
    pl.format("{} {}", "tool_name", pl.col("said").str.split("/").list.last().str.head(36)).alias(
        "call"
    ),
    "requests",
    pl.col("tokens").round(0),
    pl.col("token_turns").round(0),
    pl.col("cost_usd").round(4),
)
dearest

# %%
lives = alt.Chart(
    results.filter(pl.col("tokens") >= 1),
    title="What makes a result dear: its size, or how long it stays?",
)
lives.mark_circle(opacity=0.6, color=look.CONTENT["tool results"]).encode(
    x=alt.X("requests:Q", title="requests that carried it"),
    y=alt.Y(
        "tokens:Q",
        title="size (tokens)",
        scale=alt.Scale(type="log"),
        axis=alt.Axis(values=[1, 10, 100, 1000, 10_000, 100_000], format=",.0f"),
    ),
    size=alt.Size(
        "cost_usd:Q",
        legend=alt.Legend(
            title="cost (USD)", orient="right", symbolType="circle", values=[0.01, 0.05, 0.1]
        ),
    ),
)

# %% [markdown]
# Both: the large circles are either high up or far to the right, and most results are small and cost next to nothing.

# %%
of_all = (
    cap.exchanges()
    .pipe(measures.cost, cap.prices)
    .select(pl.col("cost_usd").sum())
    .collect()
    .item()
)
(
    results.group_by("tool_name")
    .agg(
        pl.len().alias("results"),
        pl.col("token_turns").sum().round(0),
        pl.col("cost_usd").sum().round(4),
    )
    .with_columns((pl.col("cost_usd") / of_all * 100).round(1).alias("% of all cost"))
    .sort("cost_usd", descending=True)
    .head(6)
)

# %% [markdown]
# ## What MCP servers cost before they are called
#
# The descriptions of a server's tools are in every request. `measures.context` knows how many tokens these are.

# %%
input_usd = pl.col("input_usd") + pl.col("cache_read_usd") + pl.col("cache_write_usd")
requests = cap.exchanges().pipe(measures.cost, cap.prices).with_columns(input_usd=input_usd)
described = (
    measures.context(cap.exchanges(), cap.messages(), cap.blocks(), cap.prompt_parts())
    .filter(pl.col("category") == "mcp_tools")
    .join(requests.select("exchange_id", "context_tokens", "input_usd"), on="exchange_id")
    .group_by(pl.col("name").alias("mcp_server"))
    .agg(
        pl.len().alias("requests"),
        pl.col("tokens").mean().round(0).alias("tokens a request"),
        (pl.col("input_usd") * pl.col("tokens") / pl.col("context_tokens")).sum().alias("usd"),
    )
)
servers = (
    described.join(
        measures.by_server(cap.tool_calls()).select("mcp_server", "calls"),
        on="mcp_server",
        how="left",
    )
    .with_columns(pl.col("calls").fill_null(0))
    .sort("usd", descending=True)
    .collect()
)
servers.with_columns(
    pl.col("usd").round(4), (pl.col("usd") / pl.col("calls")).round(4).alias("usd a call")
)

# %%
shown = servers.select(pl.format("{} ({} calls)", "mcp_server", "calls").alias("server"), "usd")
bars = alt.Chart(shown, title="What did the descriptions of tools cost?").mark_bar(
    color=look.OTHERS[5],
    height=24,
)
bars.encode(
    x=alt.X(
        "usd:Q",
        title="cost of carrying the descriptions (USD)",
        axis=alt.Axis(format="$.2f", tickCount=6),
    ),
    y=alt.Y("server:N", title=None, sort=shown["server"].to_list()),
).properties(height=120)

# %% [markdown]
# The server with the most tools costs six times what any other does, and is called no more often.

# %% [markdown]
# ## What subagents cost
#
# `measures.agents` gives the tree of agents, each with what it used itself and what all below it used.

# %%
tree = (
    measures.agents(cap.threads(), cap.exchanges(), cap.prices)
    .join(cap.sessions().select("session_id", "title"), on="session_id", maintain_order="left")
    .filter((pl.col("depth") > 0).any().over("session_id"))
    .collect()
)
tree.select(
    "title",
    pl.format("{}{}", pl.lit("· ").repeat_by("depth").list.join(""), "agent").alias("agent"),
    "exchanges",
    pl.col("cost_usd").round(4),
    pl.col("total_cost_usd").round(4).alias("with all below"),
    (pl.col("wall_ms") / 1000).round(1).alias("wall clock (s)"),
)

# %%
WHO = {"main conversation": look.ACCENT, "subagents": look.OTHERS[3]}
who = (
    pl.when(pl.col("depth") == 0)
    .then(pl.lit("main conversation"))
    .otherwise(pl.lit("subagents"))
    .alias("who")
)
by_depth = tree.group_by("title", who).agg(pl.col("cost_usd").sum())
alt.Chart(by_depth, title="How much of a session is its subagents?").mark_bar().encode(
    x=alt.X("cost_usd:Q", title="cost (USD)", axis=alt.Axis(format="$.2f", tickCount=7)),
    y=alt.Y("title:N", title=None, sort="-x"),
    **look.series("who", WHO),
).properties(height=190)

# %% [markdown]
# An agent is a small part of a long session; in the short one that left the work to it, it is more than half.
