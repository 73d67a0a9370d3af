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
# # How fast is it?
#
# How long you wait for the first word, how fast the rest comes, where it stalls, and where the time of a whole session goes.

# %%
import altair as alt
import polars as pl

import analysis
import look
from analysis import measures

cap = analysis.demo()  # analysis.open() for your own captures
cap

# %% [markdown]
# ## Until the first token
#
# `measures.latency` gives percentiles for any group of exchanges. Each is a value that really occurred.

# %%
by_model = measures.latency(cap.exchanges(), by="model").collect()
by_model.select("model", "exchanges", pl.col(r"^first_token_p\d+_ms$").round(0))

# %%
waits = by_model.select(
    "model",
    *((pl.col(f"first_token_{name}_ms") / 1000).alias(name) for name in look.PERCENTILES),
).unpivot(index="model", variable_name="percentile", value_name="seconds")
points = alt.Chart(waits, title="How long until the first token?").encode(
    x=alt.X("seconds:Q", title="from the request to the first piece of content (s)"),
    y=alt.Y("model:N", title=None),
)
lines = points.mark_line(color=look.LINE, size=3).encode(detail="model:N")
dots = points.mark_circle(size=120, opacity=1).encode(
    color=look.series("percentile", look.PERCENTILES)["color"]
)
(lines + dots).properties(height=110)

# %% [markdown]
# Half of the requests have their first token within a second and a half; the slowest of the large model take several.

# %%
by_cache = (
    measures.latency(cap.exchanges(), by=["model", "cache_state"])
    .drop_nulls("cache_state")
    .select("model", pl.col("cache_state").cast(pl.String), pl.col("first_token_p50_ms") / 1000)
    .collect()
)
alt.Chart(by_cache, title="Does the cache make it faster?").mark_bar().encode(
    x=alt.X("first_token_p50_ms:Q", title="median time to the first token (s)"),
    y=alt.Y("model:N", title=None),
    yOffset=alt.YOffset("cache_state:N", sort=list(look.CACHE)),
    color=look.series("cache_state", look.CACHE)["color"],
).properties(height=170)

# %% [markdown]
# With each model, requests that read the cache (green) are answered soonest.

# %% [markdown]
# ## How fast it writes

# %%
speeds = cap.exchanges().select("model", "tokens_per_second").drop_nulls().collect()
boxes = alt.Chart(speeds, title="How fast does the answer come?").mark_boxplot(
    size=26,
    color=look.ACCENT,
    outliers={"size": 14, "color": look.QUIET},
)
boxes.encode(
    x=alt.X("tokens_per_second:Q", title="output (tokens per second)", axis=alt.Axis(tickCount=8)),
    y=alt.Y("model:N", title=None),
).properties(height=130)

# %% [markdown]
# Each model has a speed of its own, and the boxes hardly overlap: the small model writes almost three times as fast as the large one.

# %% [markdown]
# ## Where it stalled
#
# A stall is a wait in which a person thinks that nothing happens: more than five seconds without a word in the middle of an answer,
# or more than half a minute before the first.

# %%
stalls = (
    measures.stalls(cap.exchanges())
    .join(cap.sessions().select("session_id", "title"), on="session_id")
    .sort("stalled_ms", descending=True)
    .collect()
)
stalls.select(
    "started_at",
    "title",
    "model",
    "place",
    (pl.col("stalled_ms") / 1000).round(1).alias("stalled (s)"),
)

# %%
longest = stalls["exchange_id"][0] if stalls.height else ""
stream = (
    cap.events()
    .filter(pl.col("exchange_id") == longest)
    .select((pl.col("at_ms") / 1000).alias("at_s"), pl.col("bytes").cum_sum().alias("bytes"))
    .collect()
)
steps = alt.Chart(stream, title="What does a stall look like?").mark_line(
    interpolate="step-after",
    color=look.ACCENT,
    point={"color": look.ACCENT},
)
steps.encode(
    x=alt.X("at_s:Q", title="since the request (s)"),
    y=alt.Y("bytes:Q", title="received (bytes)"),
)

# %% [markdown]
# The answer begins, then for half a minute only pings come, and then all the rest at once.

# %% [markdown]
# ## Where the time of a session went
#
# `measures.ledger` gives every moment of a session to one thing: waiting for the model, its thinking, its answer, the tools, a retry,
# or the person. A subagent is the tool that started it.

# %%
spent = measures.ledger(cap.exchanges(), cap.events()).join(
    cap.sessions().select("session_id", "title"),
    on="session_id",
)
sessions = spent.sort(pl.col("wall_ms") - pl.col("person_ms"), descending=True).head(10).collect()
minutes = (
    sessions.unpivot([f"{what}_ms" for what in look.TIME], index="title", variable_name="what")
    .with_columns(pl.col("what").str.strip_suffix("_ms"), pl.col("value") / 60_000)
    .filter(pl.col("what") != "person")
)
shown = {what: colour for what, colour in look.TIME.items() if what != "person"}
alt.Chart(minutes, title="What did sessions wait for, besides the person?").mark_bar().encode(
    x=alt.X("value:Q", title="time (minutes)"),
    y=alt.Y("title:N", title=None, sort=sessions["title"].to_list()),
    **look.series("what", shown),
).properties(height=300)

# %% [markdown]
# Tools, with the permission that they wait for, take more time than the model; only one session thought for longer than two minutes.

# %%
everything = spent.select(pl.col("^.*_ms$").sum()).collect()
everything.unpivot(variable_name="what", value_name="hours").with_columns(
    pl.col("what").str.strip_suffix("_ms"),
    (pl.col("hours") / 3_600_000).round(2),
    (pl.col("hours") / everything["wall_ms"][0] * 100).round(1).alias("% of the wall clock"),
)

# %% [markdown]
# ## Agents on a time line
#
# `measures.stretches` has the same for every thread. Here is the session with the deepest agents, while they ran.

# %%
agents = (
    measures.agents(cap.threads(), cap.exchanges(), cap.prices)
    .select("session_id", "thread_id", "agent", "depth")
    .with_columns(
        pl.len().over("session_id").alias("crowd"),
        pl.col("depth").max().over("session_id").alias("deepest"),
    )
    .sort("crowd", "deepest", "session_id", descending=True, maintain_order=True)
    .filter(pl.col("session_id") == pl.col("session_id").first())
    .with_columns(pl.format("{} {}", pl.int_range(1, pl.len() + 1), "agent").alias("name"))
)
line = measures.stretches(cap.exchanges()).join(agents, on=["session_id", "thread_id"]).collect()
below = line.filter(pl.col("depth") > 0)
shown = below if below.height else line
begin = shown.select(pl.col("begins_at").min().dt.offset_by("-2s")).item()
end = shown.select(pl.col("ends_at").max().dt.offset_by("2s")).item()
times = [
    ((pl.col(f"{name}_at").clip(begin, end) - begin).dt.total_milliseconds() / 1000).alias(name)
    for name in ("begins", "ends")
]
line = line.select("name", pl.col("what").cast(pl.String), *times).filter(
    pl.col("begins") < pl.col("ends")
)
busy = {what: colour for what, colour in look.TIME.items() if what != "thinking"}
alt.Chart(line, title="Who was busy when?").mark_bar(height=20).encode(
    x=alt.X("begins:Q", title="time (s)"),
    x2="ends:Q",
    y=alt.Y("name:N", title=None),
    color=look.series("what", busy)["color"],
).properties(height=120)

# %% [markdown]
# An agent runs inside a grey stretch of the one that started it: for that one, it is a tool.
