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
# # Start here
#
# ccproxy keeps every exchange between Claude Code and its provider. `analysis` gives them to you as
# [polars](https://docs.pola.rs) frames, and answers SQL over them.
#
# These notebooks run on the **demo**: a made-up week of one developer with four projects. It is the same on every machine, and
# nothing here needs the internet. To see your own captures, write `analysis.open()` in place of `analysis.demo()`.
# Beside `ccproxy[analysis]` they need Jupyter and `pip install altair vl-convert-python`.

# %%
import tempfile

import altair as alt
import polars as pl

import analysis
import look
from analysis import measures

cap = analysis.demo()  # analysis.open() for your own captures
cap

# %% [markdown]
# ## Eight kinds of rows
#
# There is one function for each kind of row. Any two of them can be joined: an id has the same name everywhere.

# %%
grains = analysis.columns()["grain"].unique(maintain_order=True).to_list()
pl.DataFrame(
    {
        "function": [f"cap.{grain}()" for grain in grains],
        "gives": [getattr(cap, grain).__doc__.partition("\n")[0] for grain in grains],
        "rows": [cap.sql(f"SELECT count(*) FROM {grain}").item() for grain in grains],
    }
)

# %% [markdown]
# Every column is explained: what it means, its unit, and where it comes from. [COLUMNS.md](../analysis/COLUMNS.md) has them all.

# %%
tokens = analysis.columns("exchanges").filter(pl.col("unit") == "tokens")
tokens.select("name", "type", "meaning", "source")

# %% [markdown]
# ## A frame
#
# Frames are lazy: nothing is read before `collect()`, and then only the columns that you use. Long texts, such as what was said,
# come only with `bodies=True`.

# %%
(
    cap.exchanges()
    .filter(pl.col("kind") == "main")
    .select(
        "started_at", "model", "context_tokens", "output_tokens", "first_token_ms", "stop_reason"
    )
    .tail(5)
    .collect()
)

# %%
by_day = (
    cap.exchanges()
    .select("session_id", "started_at")
    .join(cap.sessions().select("session_id", "project"), on="session_id")
    .group_by(pl.col("started_at").dt.date().alias("date"), "project")
    .agg(pl.len().alias("exchanges"))
    .sort("date", "project")
    .with_columns(pl.col("date").dt.strftime("%a %d %b").alias("day"))
    .collect()
)
alt.Chart(by_day, title="When was Claude at work, and on what?").mark_bar().encode(
    x=alt.X("day:O", sort=None, title="day (UTC)", axis=alt.Axis(labelAngle=0)),
    y=alt.Y("exchanges:Q", title="exchanges"),
    **look.series("project", look.distinct(by_day["project"])),
)

# %% [markdown]
# See how Friday belongs to one project, and that something runs at the weekend too.

# %% [markdown]
# ## One line of SQL
#
# The same names are views in SQL. `?` and `$name` stand for parameters; a query that would do more than read is refused.

# %%
cap.sql(
    "SELECT model, sum(output_tokens) AS output_tokens FROM exchanges GROUP BY 1 ORDER BY 2 DESC"
)

# %%
cap.sql(
    """
    SELECT tool_name, count(*) AS calls, round(median(wire_ms)) AS median_ms
    FROM tool_calls JOIN sessions USING (session_id)
    WHERE project = ? GROUP BY 1 ORDER BY 2 DESC LIMIT 5
    """,
    [by_day["project"][0]],
)

# %% [markdown]
# ## A measure
#
# `analysis.measures` knows what frames come to: cost, cache, latency and more. A measure takes a frame and gives a frame, so it
# fits into a pipe.

# %%
(
    cap.exchanges()
    .pipe(measures.cost)
    .group_by("model")
    .agg(pl.len().alias("exchanges"), pl.col("cost_usd").sum().round(2))
    .sort("cost_usd", descending=True)
    .collect()
)

# %% [markdown]
# ## Every byte
#
# A frame has what was understood of an exchange. What really passed is there too, to the byte; only credentials are masked.

# %%
last = (
    cap.exchanges()
    .filter(pl.col("reply").is_not_null())
    .select("exchange_id")
    .last()
    .collect()
    .item()
)
print(cap.body(last, "response")[:700].decode(errors="replace"))

# %% [markdown]
# ## To take away
#
# `cap.export` writes the same frames as Parquet, a file for each day. `analysis.open` reads them back, and so does any other engine.
# In a terminal it is `ccproxy export`.

# %%
with tempfile.TemporaryDirectory() as folder:
    rows = cap.export(folder)
    with analysis.open(folder) as taken:
        print(taken)
rows

# %% [markdown]
# ## Where to go
#
# * [01 Where did my tokens go?](01_where_did_my_tokens_go.ipynb)
# * [02 Why did the cache miss?](02_why_did_the_cache_miss.ipynb)
# * [03 How fast is it?](03_how_fast_is_it.ipynb)
# * [04 What do tools cost?](04_what_do_tools_cost.ipynb)
# * [05 One conversation from the inside](05_one_conversation.ipynb)
