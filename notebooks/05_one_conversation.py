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
# # One conversation from the inside
#
# From the session down to the bytes of one request: what was said, what the client put in front of it, and what really passed.

# %%
import json

import altair as alt
import polars as pl

import analysis
import look
from analysis import measures

cap = analysis.demo()  # analysis.open() for your own captures
cap

# %% [markdown]
# ## The session
#
# The one with the most exchanges. For one of your own, put its id here.

# %%
session = cap.sessions().sort("exchanges", descending=True).first().collect().row(0, named=True)
exchanges = cap.exchanges().filter(pl.col("session_id") == session["session_id"]).collect()
print(f"{session['title']}: {session['project']}, {session['started_at']:%A %d %B %H:%M} UTC")
exchanges.group_by("kind", maintain_order=True).agg(
    pl.len().alias("exchanges"),
    pl.col("started_at").min().alias("first"),
    pl.col("output_tokens").sum(),
)

# %% [markdown]
# ## What was said
#
# Messages form a tree: each knows the one before it. `cap.conversation` walks up from any message to the first one; here from the last
# answer.

# %%
main = exchanges.filter(pl.col("kind").is_in(["main", "compaction"]))
turns = main.drop_nulls("reply")
talk = pl.DataFrame(
    {"node": [message["node"] for message in cap.conversation(turns["reply"][-1])]}
).with_row_index("message", offset=1)
talk.join(cap.blocks(bodies=True).collect(), on="node").sort("message", "position").select(
    "message",
    "role",
    "type",
    pl.col("text").str.replace_all(r"\s+", " "),
)

# %% [markdown]
# It begins with a summary, since the conversation was compacted on the way. What was there before is still in the store. Here is all
# that was ever said in this session, message by message.

# %%
SAID = {
    "you, and reminders": look.CONTENT["you"],
    "Claude": look.CONTENT["Claude"],
    "thinking": look.TIME["thinking"],
    "tool calls": "#d9b48f",
    "tool results": look.CONTENT["tool results"],
}
kind = (
    pl.when(pl.col("type") == "tool_use").then(pl.lit("tool calls"))
    .when(pl.col("type") == "tool_result").then(pl.lit("tool results"))
    .when(pl.col("type") == "thinking").then(pl.lit("thinking"))
    .when(pl.col("role") == "assistant").then(pl.lit("Claude"))
    .otherwise(pl.lit("you, and reminders"))
)  # fmt: skip
of_session = cap.messages().filter(pl.col("thread_id") == main["thread_id"][0])
sizes = (
    of_session.sort("exchange_id", "depth")
    .with_row_index("number", offset=1)
    .join(cap.blocks(), on="node")
    .group_by("number", kind.alias("what"))
    .agg(pl.col("characters_right").sum().alias("characters"))
    .sort("number")
    .collect()
)
alt.Chart(sizes, title="Who said how much?").mark_bar().encode(
    x=alt.X("number:Q", title="message, in the order of arrival", axis=alt.Axis(grid=False)),
    y=alt.Y("characters:Q", title="length (characters)", axis=alt.Axis(format=",.0f")),
    **look.series("what", SAID),
)

# %% [markdown]
# A few results of tools are longer than everything that the two said to each other.

# %% [markdown]
# ## What stands before it
#
# Every request carries a system prompt and the descriptions of all tools. `measures.prompts` has each set that there ever was, when it
# was in use, and how it differs from the one before.

# %%
history = (
    measures.prompts(cap.exchanges(), cap.prompt_parts())
    .filter(pl.col("kinds").list.contains("main"))
    .collect()
)
history.select(
    "first_at",
    "exchanges",
    "client_versions",
    "mcp_servers",
    "tools",
    pl.col("added_tools").list.len().alias("added"),
    pl.col("removed_tools").list.len().alias("removed"),
    pl.col("changed_tools").list.len().alias("changed"),
    pl.col("changed_system").alias("changed system blocks"),
)

# %%
PARTS = {"system prompt": "#4f5459", "built-in tools": "#7fa6dd", "MCP tools": "#b9bec4"}
part = (
    pl.when(pl.col("kind") == "system").then(pl.lit("system prompt"))
    .when(pl.col("name").str.starts_with("mcp__")).then(pl.lit("MCP tools"))
    .otherwise(pl.lit("built-in tools"))
)  # fmt: skip
labels = history.with_row_index("number").select(
    "preamble",
    "number",
    pl.format(
        "{}, {}{}",
        pl.col("first_at").dt.strftime("%a %H:%M"),
        pl.col("client_versions").list.join(" "),
        pl.col("mcp_servers").list.eval(pl.format(" +{}", pl.element())).list.join(""),
    ).alias("set"),
)
weights = (
    cap.prompt_parts()
    .join(labels.lazy(), on="preamble")
    .group_by("number", "set", part.alias("part"))
    .agg(pl.col("bytes").sum())
    .sort("number")
    .collect()
)
alt.Chart(weights, title="How long is the prompt that nobody typed?").mark_bar().encode(
    x=alt.X("bytes:Q", title="length (bytes)", axis=alt.Axis(format=",.0f")),
    y=alt.Y("set:N", title=None, sort=labels["set"].to_list()),
    **look.series("part", PARTS),
)

# %% [markdown]
# The system prompt is the smallest part; one MCP server more than doubles what is sent each time.

# %% [markdown]
# `measures.difference` shows any two sets as a diff. Here are the last two changes of the system prompt; without the filter, tools are
# compared as well.

# %%
system = cap.prompt_parts(bodies=True).filter(pl.col("kind") == "system")
changed = history.filter(pl.col("changed_system").list.len() > 0).tail(2)
for was, now in changed.select("previous", "preamble").iter_rows():
    diff = measures.difference(system, was, now).splitlines()
    print(*(line[:96] for line in diff[:28]), "", sep="\n")

# %% [markdown]
# ## The bytes of one request
#
# `cap.body` gives back what passed, byte for byte, and `cap.headers` the headers, with credentials masked.

# %%
last = turns.row(-1, named=True)
raw = cap.body(last["exchange_id"], "request")
request = json.loads(raw)
members = pl.DataFrame(
    [
        (name, len(json.dumps(value, ensure_ascii=False).encode()))
        for name, value in request.items()
    ],
    schema=["member", "bytes"],
    orient="row",
).sort("bytes", descending=True)
print(f"{len(raw):,} bytes, answered with {len(cap.body(last['exchange_id'], 'response')):,} bytes")
alt.Chart(members, title="What is in the bytes of one request?").mark_bar(color=look.ACCENT).encode(
    x=alt.X("bytes:Q", title="length (bytes)", axis=alt.Axis(format=",.0f")),
    y=alt.Y("member:N", title=None, sort=members["member"].to_list()),
).properties(height=220)

# %% [markdown]
# Descriptions of tools are the largest part, before the conversation itself; all the rest is nothing beside them.

# %%
earlier = json.loads(cap.body(turns["exchange_id"][-2], "request"))["messages"]
pairs = zip(earlier, request["messages"], strict=False)
same = sum(1 for was, now in pairs if was == now)
print(
    f"{same} of its {len(request['messages'])} messages are as in the request before, to the letter."
)
print("The next one may differ by its mark for the cache alone, which moves on with each request.")

# %%
pl.DataFrame(cap.headers(last["exchange_id"], "request"), schema=["header", "value"], orient="row")

# %% [markdown]
# ## How the answer arrived
#
# Each event of a stream is kept with the moment of its arrival.

# %%
longest = turns.sort("events", descending=True, nulls_last=True)["exchange_id"][0]
events = (
    cap.events()
    .filter(pl.col("exchange_id") == longest)
    .select((pl.col("at_ms") / 1000).alias("at_s"), "kind", "bytes")
    .collect()
)
order = events["kind"].unique(maintain_order=True).to_list()
ticks = alt.Chart(events, title="When did each piece of the answer arrive?").mark_tick(
    thickness=1.5,
    size=16,
    color=look.ACCENT,
)
ticks.encode(
    x=alt.X("at_s:Q", title="since the request (s)"),
    y=alt.Y("kind:N", title=None, sort=order),
).properties(height=220)

# %% [markdown]
# Five blocks come one after the other, each a call of a tool whose input arrives in small pieces.
