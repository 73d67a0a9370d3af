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
# # Where did my tokens go?
#
# Four kinds of tokens are counted, each at a price of its own: input that is **read** from the prompt cache, input that is **written**
# to it, other **input**, and **output**.

# %%
import altair as alt
import polars as pl

import analysis
import look
from analysis import measures

cap = analysis.demo()  # analysis.open() for your own captures
cap

# %% [markdown]
# ## What they are, and what they cost
#
# `measures.cost` adds what each exchange cost, by the prices of its day. Prices come with the package `genai-prices`; a file of your
# own can name others.

# %%
KINDS = {
    "cache read": "cache_read",
    "cache write": "cache_write",
    "input": "input",
    "output": "output",
}

paid = cap.exchanges().pipe(measures.cost, cap.prices).collect()
kinds = pl.DataFrame(
    {
        "kind": list(KINDS),
        "tokens": [paid[f"{name}_tokens"].sum() for name in KINDS.values()],
        "usd": [paid[f"{name}_usd"].sum() for name in KINDS.values()],
    }
).with_columns((pl.col("usd") / pl.col("tokens") * 1e6).round(2).alias("usd_per_million"))
kinds.with_columns(pl.col("usd").round(2))

# %%
shares = kinds.unpivot(["tokens", "usd"], index="kind", variable_name="of").with_columns(
    pl.col("of").replace({"usd": "US dollars"}),
    (pl.col("value") / pl.col("value").sum().over("of")).alias("share"),
)
alt.Chart(shares, title="Is most of them what costs most?").mark_bar(height=34).encode(
    x=alt.X("share:Q", title="share of all", axis=alt.Axis(format="%")),
    y=alt.Y("of:N", title=None, sort=["tokens", "US dollars"]),
    **look.series("kind", look.TOKENS),
).properties(height=110)

# %% [markdown]
# Reads from the cache are most of the tokens and little of the cost; what is written to it, and the output, is what you pay for.

# %%
by_day = (
    paid.group_by(pl.col("started_at").dt.date().alias("date"))
    .agg(pl.col(f"{column}_usd").sum().alias(kind) for kind, column in KINDS.items())
    .sort("date")
    .with_columns(pl.col("date").dt.strftime("%a %d %b").alias("day"))
    .unpivot(list(KINDS), index="day", variable_name="kind", value_name="usd")
)
alt.Chart(by_day, title="What did each day cost?").mark_bar().encode(
    x=alt.X("day:O", sort=None, title="day (UTC)", axis=alt.Axis(labelAngle=0)),
    y=alt.Y("usd:Q", title="cost (USD)", axis=alt.Axis(format="$.2f")),
    **look.series("kind", look.TOKENS),
)

# %% [markdown]
# On every day but Monday writing to the cache cost more than the answers: each session writes its prompt anew, and so does each
# break of the cache ([02](02_why_did_the_cache_miss.ipynb)).

# %% [markdown]
# ## For whom
#
# Exchanges know their session, and sessions their project.

# %%
of_session = paid.drop("project").join(
    cap.sessions().select("session_id", "title", "project").collect(),
    on="session_id",
)
by_project = of_session.group_by("project", "model").agg(pl.col("cost_usd").sum())
by_project = by_project.filter(pl.col("cost_usd") > 0)
alt.Chart(by_project, title="Which project was it, and which model?").mark_bar().encode(
    x=alt.X("cost_usd:Q", title="cost (USD)", axis=alt.Axis(format="$.2f", tickCount=6)),
    y=alt.Y("project:N", title=None, sort="-x"),
    **look.series("model", look.distinct(by_project["model"])),
).properties(height=150)

# %% [markdown]
# One project is half of the bill, and Opus is the largest part in each.

# %%
(
    of_session.group_by("session_id", "title")
    .agg(
        pl.len().alias("exchanges"),
        pl.col("context_tokens").max().alias("largest context"),
        pl.col("output_tokens").sum(),
        pl.col("cost_usd").sum().round(3),
    )
    .sort("cost_usd", descending=True)
    .select(pl.exclude("session_id"))
    .head(8)
)

# %% [markdown]
# ## What filled the window
#
# The whole conversation is sent with every request. `measures.context` says what it consists of. Its tokens come to exactly what the
# API counted; how they are split goes by the length of each part.

# %%
GROUPS = {
    "system and tools": ["system", "tools"],
    "MCP tools": ["mcp_tools"],
    "memory and reminders": ["memory", "reminder"],
    "you": ["user", "image", "other"],
    "Claude": ["assistant", "thinking", "tool_call"],
    "tool results": ["tool_result"],
}
group_of = {category: group for group, categories in GROUPS.items() for category in categories}
threads = paid.drop_nulls("thread_id").sort("context_tokens", descending=True, nulls_last=True)
thread = cap.exchanges().filter(pl.col("thread_id") == threads["thread_id"][0])
window = (
    measures.context(thread, cap.messages(), cap.blocks(bodies=True), cap.prompt_parts())
    .with_columns(
        pl.col("category").replace_strict(group_of).alias("content"),
        pl.col("started_at").rank("dense").alias("request"),
    )
    .group_by("request", "content")
    .agg(pl.col("tokens").sum())
    .sort("request")
    .collect()
)
alt.Chart(window, title="What filled the window, request by request?").mark_bar().encode(
    x=alt.X("request:O", title="request of the thread", axis=alt.Axis(labelAngle=0)),
    y=alt.Y("tokens:Q", title="input (tokens)", axis=alt.Axis(format=",.0f")),
    **look.series("content", look.CONTENT),
)

# %% [markdown]
# Results of tools fill the window until it is compacted, and it begins again almost empty: all that the person and Claude said is
# a thin line.

# %%
measures.compactions(thread, cap.messages()).select(
    "started_at", "trigger", "before_tokens", "after_tokens", "dropped_tokens", "dropped_messages"
).collect()

# %% [markdown]
# ## What was not the work itself
#
# Titles, checks, summaries and repeated requests are counted apart, each for one reason only.

# %%
(
    measures.overhead(cap.exchanges(), cap.prices)
    .filter(pl.col("exchanges") > 0)
    .select(
        "reason",
        "exchanges",
        (pl.col("input_tokens") + pl.col("cache_read_tokens") + pl.col("cache_write_tokens")).alias(
            "input"
        ),
        pl.col("output_tokens").alias("output"),
        "cost_usd",
        (pl.col("share") * 100).round(2).alias("% of cost"),
    )
    .collect()
)

# %% [markdown]
# ## What has no price
#
# A model that nobody knows a price of costs null, never zero or a guess. They are listed here; none is best.

# %%
measures.unpriced(cap.exchanges(), cap.prices).collect()
