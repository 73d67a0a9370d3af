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
# # Why did the cache miss?
#
# Claude Code sends the whole conversation with every request. The provider keeps the beginning of it for five minutes, or an hour, so
# that the next request reads it, for a small part of the price. It can do so only as far as the new request begins exactly like the one
# before: tools first, then the system prompt, then the messages.

# %%
import altair as alt
import polars as pl

import analysis
import look
from analysis import measures

cap = analysis.demo()  # analysis.open() for your own captures
cap

# %% [markdown]
# ## How much was read
#
# `measures.cache` adds up tokens and the hit ratio: what was read, of all input.

# %%
ratios = (
    measures.banded(cap.exchanges())
    .pipe(measures.cache, by=["day", "model"])
    .with_columns(pl.col("day").dt.strftime("%a %d %b"))
    .collect()
)
alt.Chart(ratios, title="How much of the input was read from the cache?").mark_line(
    point=True
).encode(
    x=alt.X("day:O", sort=None, title="day (UTC)", axis=alt.Axis(labelAngle=0)),
    y=alt.Y(
        "hit_ratio:Q", title="hit ratio", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])
    ),
    color=look.series("model", look.distinct(ratios["model"]))["color"],
)

# %% [markdown]
# Between 70 and 90 % is read every day; what is missing is above all the first request of each session, which has nothing to read.

# %%
saved = (
    cap.exchanges()
    .pipe(measures.saved, cap.prices)
    .select(pl.col("saved_usd").sum())
    .collect()
    .item()
)
paid = (
    cap.exchanges()
    .pipe(measures.cost, cap.prices)
    .select(pl.col("cost_usd").sum())
    .collect()
    .item()
)
print(
    f"All of it cost {paid:.2f} USD. Without the cache it would have been {paid + saved:.2f} USD."
)

# %% [markdown]
# ## What breaks it
#
# `measures.breaks` finds each exchange that did not read what the one before it in its thread had left there, and says why: the first
# thing in the prompt that differs, or the time that passed. `lost_usd` is what it cost more than a read would have.

# %%
breaks = measures.breaks(
    cap.exchanges(),
    cap.messages(),
    cap.prompt_parts(bodies=True),
    cap.blocks(bodies=True),
    prices=cap.prices,
).collect()
lost = breaks.filter(pl.col("lost_tokens") > 0).with_columns(
    pl.col("cause").str.replace_all("_", " ")
)
causes = lost.group_by("cause").agg(
    pl.len().alias("breaks"),
    pl.col("lost_tokens").sum(),
    pl.col("lost_usd").sum().round(4),
)
causes.sort("lost_usd", descending=True)

# %%
alt.Chart(causes, title="What did each cause cost?").mark_bar(
    color=look.TOKENS["cache write"]
).encode(
    x=alt.X("lost_usd:Q", title="cost beyond a read (USD)", axis=alt.Axis(format="$.2f")),
    y=alt.Y("cause:N", title=None, sort="-x"),
)

# %% [markdown]
# More than half was lost because nobody asked anything for five minutes; each change of a prompt is little beside it.

# %% [markdown]
# ## The five minutes
#
# Each request that reads the cache begins its time anew. So what counts is the pause between two requests of the same thread.

# %%
pauses = (
    cap.exchanges()
    .filter(pl.col("thread_id").is_not_null() & (pl.col("context_tokens") > 0))
    .sort("thread_id", "started_at")
    .select(
        (pl.col("started_at").diff().over("thread_id").dt.total_milliseconds() / 1000).alias(
            "pause_s"
        ),
        (pl.col("cache_read_tokens") / pl.col("context_tokens")).alias("read"),
    )
    .drop_nulls()
    .filter(pl.col("pause_s") > 0)
    .collect()
)
dots = (
    alt.Chart(pauses, title="How long a pause does the cache survive?")
    .mark_circle(size=40, opacity=0.5, color=look.TOKENS["cache read"])
    .encode(
        x=alt.X(
            "pause_s:Q",
            title="pause before the request (s)",
            scale=alt.Scale(type="log"),
            axis=alt.Axis(values=[1, 10, 60, 300, 3600], grid=False),
        ),
        y=alt.Y("read:Q", title="input read from the cache", axis=alt.Axis(format="%")),
    )
)
limits = pl.DataFrame({"at": [300, 3600], "name": ["5 minutes", "1 hour"]})
rules = alt.Chart(limits).mark_rule(color=look.RED, strokeDash=[4, 3]).encode(x="at:Q")
names = rules.mark_text(align="left", dx=4, color=look.RED).encode(y=alt.value(8), text="name:N")
dots + rules + names

# %% [markdown]
# Left of five minutes nearly everything is read, right of it nothing; the two dots up there belong to a session that wrote for an hour.

# %% [markdown]
# ## One session, request by request
#
# The session that lost the most.

# %%
worst = lost.group_by("thread_id").agg(pl.col("lost_usd").sum()).sort("lost_usd", descending=True)
thread = worst["thread_id"][0] if worst.height else None
KINDS = {
    "cache_read_tokens": "cache read",
    "cache_write_tokens": "cache write",
    "input_tokens": "input",
}
turns = (
    cap.exchanges()
    .filter((pl.col("thread_id") == thread) & (pl.col("context_tokens") > 0))
    .with_row_index("request", offset=1)
    .collect()
)
by_kind = turns.unpivot(list(KINDS), index="request", variable_name="of", value_name="tokens")
by_kind = by_kind.with_columns(pl.col("of").replace_strict(KINDS))
bars = (
    alt.Chart(by_kind, title="Where did this session break?")
    .mark_bar()
    .encode(
        x=alt.X("request:O", title="request of the thread", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("tokens:Q", title="input (tokens)", axis=alt.Axis(format=",.0f")),
        **look.series("of", {kind: look.TOKENS[kind] for kind in KINDS.values()}),
    )
)
broken = turns.join(lost.select("exchange_id", "cause"), on="exchange_id")
marks = (
    alt.Chart(broken)
    .mark_text(align="left", baseline="bottom", angle=330, dy=-4, color=look.RED)
    .encode(x="request:O", y="context_tokens:Q", text="cause:N")
)
bars + marks

# %% [markdown]
# A good request is green with a thin cap of amber; where the whole bar is amber, all was written anew, and the name above says why.

# %% [markdown]
# ## What exactly changed
#
# Where something in the prompt differs, you can read what it said before and what it says now.

# %%
lost.filter(pl.col("was").is_not_null() | pl.col("now").is_not_null()).select(
    "cause", "where", "was", "now"
)

# %% [markdown]
# ## Written and never read
#
# To write costs more than plain input does, so what is written has to be read again to be worth it.

# %%
(
    measures.unread(cap.exchanges())
    .group_by("session_id")
    .agg(pl.col("written_tokens", "unread_tokens").sum())
    .join(cap.sessions().select("session_id", "title"), on="session_id")
    .with_columns(
        (pl.col("unread_tokens") / pl.col("written_tokens") * 100).round(1).alias("% unread")
    )
    .sort("unread_tokens", descending=True)
    .select("title", "written_tokens", "unread_tokens", "% unread")
    .head(6)
    .collect()
)
