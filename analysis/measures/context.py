"""What filled the context window: each request's content by category, what tool results went on costing, compactions.

A request holds its preamble and the messages from its `tip` up to the root of the tree. Content is weighed by its
characters, and the weights of a request are scaled so that they come to exactly the tokens that the API counted. Refuses
to count tokens itself, and to know prices.
"""

from __future__ import annotations

import sys
from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from itertools import chain
from typing import Any

import polars as pl

from analysis.measures.cache import all_input, answered
from analysis.measures.cost import Prices, cost

Frame = pl.LazyFrame | pl.DataFrame

CATEGORIES = (
    "system", "tools", "mcp_tools", "memory", "reminder", "user", "assistant", "thinking", "tool_call", "tool_result", "image",
    "other",
)  # fmt: skip
# An image has no characters. Anthropic's page on vision: about width x height / 750 tokens, and what would come to more
# than about 1,600 is scaled down. Screenshots do, so each image counts as that, at 4 characters of English a token.
IMAGE_WEIGHT = 1600 * 4

_REMINDER = r"(?s)<system-reminder>.*?(?:</system-reminder>|\z)"
# Inside a reminder: what the client tells of CLAUDE.md and its kin, up to the next thing that it tells.
_MEMORY = (
    r"(?s)((?:# claudeMd\s|Codebase and user instructions are shown below|Contents of [^\n]*\.md\b[^\n]*:\n).*?)"
    r"(?:\n# ?(?:currentDate|gitStatus|userEmail|important-instruction-reminders)\n"
    r"|\n\s*IMPORTANT: this context may or may not|</system-reminder>|\z)"
)
_CONTEXT = ("exchange_id", "session_id", "thread_id", "started_at", "category", "name", "characters", "tokens")
_RESULTS = (
    "tool_use_id", "tool_name", "session_id", "node", "characters", "tokens", "requests", "token_turns", "cost_usd",
)  # fmt: skip
_Weights = dict[Any, list[tuple[int, int]]]  # pairs of kind and weight, by place or preamble


@dataclass(frozen=True, slots=True)
class Tree:
    """Messages by their place in a list in which each stands after its parent: node, parent, session_id, place."""

    nodes: pl.DataFrame
    parents: Sequence[int]  # -1 above a root, and where the parent is no longer known
    depths: Sequence[int]

    @classmethod
    def of(cls, messages: Frame, sessions: pl.Series, tips: pl.Series) -> Tree:
        """Return the messages of some sessions, with those that `tips` and they themselves have above them elsewhere.

        A session that was continued from another one has its first messages there: so whole sessions are fetched, until
        nothing is missing that the store knows.
        """
        source = messages.lazy().select("node", "parent", "depth", "session_id")
        wanted, known = sessions.unique(), sessions.clear()
        found = source.clear().collect()
        while len(wanted):
            found = found.vstack(source.filter(_among("session_id", wanted)).collect())
            known = known.append(wanted)
            above = pl.concat([tips, found["parent"]]).drop_nulls().unique()
            missing = above.filter(~above.is_in(found["node"].implode()))
            if missing.is_empty():
                break
            owners = source.filter(_among("node", missing)).select("session_id").unique().collect().to_series()
            wanted = owners.filter(~owners.is_in(known.implode(), nulls_equal=True))
        return cls._ordered(found)

    @classmethod
    def _ordered(cls, found: pl.DataFrame) -> Tree:
        places = pl.int_range(pl.len(), dtype=pl.Int64).alias("place")
        nodes = found.sort("depth", "node").select("node", "parent", "session_id").with_columns(places)
        above = nodes.select("parent").join(
            nodes.select(pl.col("node").alias("parent"), "place"), on="parent", how="left", maintain_order="left"
        )
        parents = above["place"].fill_null(-1).to_list()
        depths: list[int] = []
        for parent in parents:
            depths.append(depths[parent] + 1 if parent >= 0 else 0)
        return cls(nodes, parents, depths)

    def places(self, nodes: pl.Series) -> list[int]:
        """Return the place of each node, -1 where it is not known."""
        known = self.nodes.select("node", "place")
        return (
            nodes.alias("node")
            .to_frame()
            .join(known, on="node", how="left", maintain_order="left")["place"]
            .fill_null(-1)
            .to_list()
        )

    def above(self, place: int, depth: int) -> int:
        """Return the place of the message of that depth above a place, or at it."""
        while place >= 0 and self.depths[place] > depth:
            place = self.parents[place]
        return place

    def fork(self, one: int, other: int) -> int:
        """Return the place of the last message that two paths share, or -1."""
        depth = min(self.depths[one] if one >= 0 else -1, self.depths[other] if other >= 0 else -1)
        one, other = self.above(one, depth), self.above(other, depth)
        while one != other:
            one, other = self.parents[one], self.parents[other]
        return one


def _among(column: str, values: pl.Series) -> pl.Expr:
    return pl.col(column).is_in(values.implode(), nulls_equal=True)


def context(exchanges: Frame, messages: Frame, blocks: Frame, prompt_parts: Frame) -> pl.LazyFrame:
    """Return one row per answered exchange, category and name, by time: what filled the window.

    In: exchanges, messages, prompt_parts, and blocks, best with bodies. Out: exchange_id, session_id, thread_id,
    started_at, category, name, characters, and tokens, which over an exchange sum to its context_tokens.

    Categories: system; tools (built in); mcp_tools (name: the server); memory (CLAUDE.md and its kin, inside a
    reminder); reminder (other <system-reminder> blocks, messages of role system); user; assistant; thinking; tool_call
    and tool_result (name: the tool); image; other (documents, kinds nobody has heard of, content that is not known).
    Without the column `text` of blocks, memory and reminders count as user. Characters of system and tools are bytes of
    their JSON. An image has 0 characters and weighs IMAGE_WEIGHT; one inside a tool's result is not seen.
    """
    requests = _requests(exchanges)
    tree = Tree.of(messages, requests["session_id"], requests["tip"])
    held, given = _pieces(blocks, tree).filter(pl.col("weight") > 0), _given(prompt_parts, requests["preamble"])
    kinds = _kinds(held, given)
    known = kinds.head(-1)
    rows = _rows(requests, tree, _by("place", held, known), _by("preamble", given, known), unknown=len(known))
    weight = pl.col("weight")
    return (
        rows.lazy()
        .sort("request", "kind")
        .with_columns(share=weight / weight.sum().over("request"))
        .join(requests.lazy(), on="request", how="left", maintain_order="left")
        .join(kinds.lazy(), on="kind", how="left", maintain_order="left")
        .select(
            *_CONTEXT[:6],
            pl.when("written").then(weight).otherwise(0).alias("characters"),
            (pl.col("share") * pl.col("context_tokens")).alias("tokens"),
        )
    )


def tool_results(
    exchanges: Frame, messages: Frame, blocks: Frame, prompt_parts: Frame, *, prices: Prices = None
) -> pl.LazyFrame:
    """Return one row per tool result and session, by time: what it went on costing over its whole life in the context.

    In: exchanges, messages, blocks, prompt_parts, and `prices` as `cost` takes them. Out: tool_use_id, tool_name,
    session_id, node, characters; tokens (in the first request that carried it); requests (how many carried it);
    token_turns (tokens, summed over them); cost_usd (USD: its share of what the input of each of them cost; null where
    one of them has no price). Summed over all content, such shares come to the whole cost of input. A result that was
    carried on in another place, since a message before it changed, is one row, with the first of its nodes.
    """
    input_usd = pl.col("input_usd") + pl.col("cache_read_usd") + pl.col("cache_write_usd")
    requests = _requests(cost(exchanges.lazy().filter(answered()), prices), input_usd.alias("usd"))
    tree = Tree.of(messages, requests["session_id"], requests["tip"])
    pieces, given = _pieces(blocks, tree), _given(prompt_parts, requests["preamble"])
    lives = _lives(requests, tree, _totals(pieces, "place"), _totals(given, "preamble"))
    weight, usd = pl.col("weight"), pl.col("weight") * pl.col("usd")
    return (
        pieces.lazy()
        .filter(pl.col("category") == "tool_result")
        .join(lives.lazy(), on="place")
        .sort("first", "place", "position")
        .group_by(
            "session_id",
            pl.coalesce("tool_use_id", pl.format("{} {}", "node", "position")).alias("result"),
            maintain_order=True,
        )
        .agg(
            pl.col("tool_use_id", "node").first(),
            pl.col("name").first().alias("tool_name"),
            weight.first().alias("characters"),
            (weight * pl.col("first_rate")).first().alias("tokens"),
            pl.col("requests").sum(),
            (weight * pl.col("rate")).sum().alias("token_turns"),
            pl.when(usd.is_not_null().all()).then(usd.sum()).alias("cost_usd"),
        )
        .select(_RESULTS)
    )


def _totals(weighed: pl.DataFrame, key: str) -> dict[Any, int]:
    return dict(weighed.group_by(key).agg(pl.col("weight").sum()).iter_rows())


def compactions(exchanges: Frame, messages: Frame) -> pl.LazyFrame:
    """Return one row per compaction, by time: what it dropped of a conversation.

    In: exchanges, messages. Out: session_id, thread_id, exchange_id (of the summarising request), started_at, trigger
    (auto, manual, reactive; null where the client does not say), before_tokens (input of the last request of the thread
    before), after_tokens (of the first one after it; null where none came), dropped_tokens (the difference), and
    dropped_messages: how many messages of the former the latter does not hold. A summary that was asked for again, with
    nothing in between, counts once, by the last answer; one that was never answered is none.
    """
    summary = pl.col("kind").eq_missing("compaction")
    tokens, tip = (pl.when(~summary).then(column) for column in (all_input(), pl.col("tip")))
    found = (
        exchanges.lazy()
        .filter(answered() & pl.col("thread_id").is_not_null())
        .sort("thread_id", "started_at", "exchange_id")
        .select(
            "session_id",
            "thread_id",
            "exchange_id",
            "started_at",
            pl.col("compaction").alias("trigger"),
            tokens.forward_fill().over("thread_id").alias("before_tokens"),
            tokens.backward_fill().over("thread_id").alias("after_tokens"),
            tip.forward_fill().over("thread_id").alias("before"),
            tip.backward_fill().over("thread_id").alias("after"),
            summary.alias("summary"),
            summary.shift(-1, fill_value=False).over("thread_id").alias("again"),
        )
        .filter(pl.col("summary") & ~pl.col("again"))
        .sort("started_at", "exchange_id")
        .collect()
    )
    tree = Tree.of(messages, found["session_id"], pl.concat([found["before"], found["after"]]))
    ends = zip(tree.places(found["before"]), tree.places(found["after"]), strict=True)
    dropped = [_dropped(tree, before, after) for before, after in ends]
    return (
        found.lazy()
        .with_columns(
            (pl.col("before_tokens") - pl.col("after_tokens")).alias("dropped_tokens"),
            pl.Series("dropped_messages", dropped, dtype=pl.Int64),
        )
        .drop("before", "after", "summary", "again")
    )


def _dropped(tree: Tree, before: int, after: int) -> int | None:
    if before < 0 or after < 0:
        return None
    kept = tree.fork(before, after)
    return tree.depths[before] - (tree.depths[kept] if kept >= 0 else -1)


def _requests(exchanges: Frame, *more: pl.Expr) -> pl.DataFrame:
    """Return the requests that were answered, numbered by time, with all their input in tokens."""
    columns = ("exchange_id", "session_id", "thread_id", "started_at", "tip", "preamble")
    return (
        exchanges.lazy()
        .filter(answered())
        .select(*columns, all_input().alias("context_tokens"), *more)
        .sort("started_at", "exchange_id")
        .with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("request"))
        .collect()
    )


def _given(prompt_parts: Frame, preambles: pl.Series) -> pl.DataFrame:
    """Return what preambles weigh: preamble, category, name, weight."""
    server = pl.col("name").str.extract("^mcp__(.+?)__")
    tools = pl.when(server.is_not_null()).then(pl.lit("mcp_tools")).otherwise(pl.lit("tools"))
    return (
        prompt_parts.lazy()
        .filter(_among("preamble", preambles.drop_nulls().unique()))
        .select(
            "preamble",
            pl.when(pl.col("kind") == "system").then(pl.lit("system")).otherwise(tools).alias("category"),
            pl.when(pl.col("kind") != "system").then(server).alias("name"),
            pl.col("bytes").fill_null(0).alias("weight"),
        )
        .group_by("preamble", "category", "name")
        .agg(pl.col("weight").sum())
        .collect()
    )


def _pieces(blocks: Frame, tree: Tree) -> pl.DataFrame:
    """Return what messages weigh, in pieces of one category, parents first: place, node, session_id, position,
    tool_use_id, category, name, weight."""
    source = blocks.lazy().filter(_among("node", tree.nodes["node"]))
    rows = (
        source.select(
            "node",
            "position",
            "tool_use_id",
            "tool_name",
            _category(),
            pl.col("characters").fill_null(0),
            *_told(source),
        )
        .collect()
        .join(tree.nodes, on="node")
    )
    rows = _named(rows)
    told, remembered, image = pl.col("told"), pl.col("remembered"), pl.col("category") == "image"
    whole = rows.with_columns(weight=pl.when(image).then(IMAGE_WEIGHT).otherwise(pl.col("characters") - told))
    parts = [whole]
    for category, part in (("reminder", told - remembered), ("memory", remembered)):
        parts.append(rows.filter(part > 0).with_columns(category=pl.lit(category), weight=part))
    wanted = ("place", "node", "session_id", "position", "tool_use_id", "category", "name")
    kept = [part.select(*wanted, pl.col("weight").cast(pl.Int64)) for part in parts]
    return pl.concat(kept).sort("place", "position", maintain_order=True)


def _category() -> pl.Expr:
    """Return the category of a block as a whole."""
    kind, role = pl.col("type"), pl.col("role")
    rules = (
        (role == "system", "reminder"),
        (kind.str.ends_with("tool_use"), "tool_call"),
        (kind.str.ends_with("tool_result"), "tool_result"),
        (kind.is_in(["thinking", "redacted_thinking"]), "thinking"),
        (kind == "image", "image"),
        ((kind == "text") & (role == "assistant"), "assistant"),
        (kind == "text", "user"),
    )
    found: pl.Expr = pl.lit("other")
    for rule, category in reversed(rules):
        found = pl.when(rule).then(pl.lit(category)).otherwise(found)
    return found.alias("category")


def _told(blocks: pl.LazyFrame) -> tuple[pl.Expr, pl.Expr]:
    """Return how many characters of a block of the user's are reminders, and how many of these are memory."""
    if "text" not in blocks.collect_schema():
        return pl.lit(0).alias("told"), pl.lit(0).alias("remembered")
    reminders = pl.when(_category() == "user").then(pl.col("text").str.extract_all(_REMINDER))
    memory = pl.element().str.extract(_MEMORY, 1)
    told, remembered = (reminders.list.eval(part.str.len_chars()).list.sum() for part in (pl.element(), memory))
    return told.fill_null(0).cast(pl.Int64).alias("told"), remembered.fill_null(0).cast(pl.Int64).alias("remembered")


def _named(rows: pl.DataFrame) -> pl.DataFrame:
    """Return blocks with `name`: the tool of a call, and of a result the tool of its call, first of that just before it."""
    calls = rows.filter(pl.col("category") == "tool_call").select("tool_use_id", "tool_name", parent="node")
    before = calls.unique(("parent", "tool_use_id")).rename({"tool_name": "before"})
    anywhere = calls.unique("tool_use_id", keep="first", maintain_order=True).select(
        "tool_use_id", anywhere="tool_name"
    )
    kind, result = pl.col("category"), pl.coalesce("before", "anywhere")
    return (
        rows.join(before, on=("parent", "tool_use_id"), how="left")
        .join(anywhere, on="tool_use_id", how="left")
        .with_columns(
            name=pl.when(kind == "tool_call").then(pl.col("tool_name")).when(kind == "tool_result").then(result)
        )
    )


def _kinds(*weighed: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs of category and name that occur, numbered; the last one stands for content that is not known."""
    known = pl.concat(frame.select("category", "name") for frame in weighed).unique()
    known = known.sort(pl.col("category").cast(pl.Enum(CATEGORIES)), "name").with_columns(
        written=pl.col("category") != "image"
    )
    unknown = pl.DataFrame({"category": ["other"], "name": [None], "written": [False]}, schema=known.schema)
    return known.vstack(unknown).with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("kind"))


def _by(key: str, weighed: pl.DataFrame, kinds: pl.DataFrame) -> _Weights:
    """Return pairs of kind and weight by a key of the frame."""
    found: _Weights = defaultdict(list)
    for owner, kind, weight in (
        weighed.join(kinds, on=("category", "name"), nulls_equal=True).select(key, "kind", "weight").iter_rows()
    ):
        found[owner].append((kind, weight))
    return found


def _rows(requests: pl.DataFrame, tree: Tree, held: _Weights, given: _Weights, unknown: int) -> pl.DataFrame:
    """Return what each request holds: request, kind, weight; of which nothing is known, `unknown` with weight 1."""
    ending = defaultdict(list)
    for request, place, preamble in zip(
        requests["request"], tree.places(requests["tip"]), requests["preamble"], strict=True
    ):
        ending[place].append((request, preamble))
    found = {"request": array("q"), "kind": array("q"), "weight": array("q")}
    for place, sums in chain([(-1, {})], _sums(tree, held)):
        for request, preamble in ending.get(place, ()):
            for kind, weight in [*sums.items(), *given.get(preamble, ())] or [(unknown, 1)]:
                found["request"].append(request)
                found["kind"].append(kind)
                found["weight"].append(weight)
    return pl.DataFrame(found, schema=dict.fromkeys(found, pl.Int64))


def _sums(tree: Tree, held: _Weights) -> Iterator[tuple[int, dict[int, int]]]:
    """Yield each message with what the path to it weighs by kind; good until the next step.

    A sum is handed on from a message to the last of those below it, and copied only where paths part.
    """
    below = [0] * len(tree.parents)
    for parent in tree.parents:
        if parent >= 0:
            below[parent] += 1
    left, kept = below.copy(), dict[int, dict[int, int]]()
    for place, parent in enumerate(tree.parents):
        sums: dict[int, int] = {}
        if parent >= 0:
            left[parent] -= 1
            sums = kept[parent].copy() if left[parent] else kept.pop(parent)
        for kind, weight in held.get(place, ()):
            sums[kind] = sums.get(kind, 0) + weight
        yield place, sums
        if below[place]:
            kept[place] = sums


@dataclass(slots=True)
class _Life:
    """What requests did with a message: how many carried it; tokens and USD for each unit of weight, summed over them."""

    requests: int = 0
    rate: float = 0.0
    usd: float | None = 0.0
    first: int = sys.maxsize
    first_rate: float = 0.0

    def add(self, more: _Life) -> None:
        """Take in other requests."""
        self.requests += more.requests
        self.rate += more.rate
        self.usd = None if self.usd is None or more.usd is None else self.usd + more.usd
        if more.first < self.first:
            self.first, self.first_rate = more.first, more.first_rate


def _lives(requests: pl.DataFrame, tree: Tree, held: dict[int, int], given: dict[str, int]) -> pl.DataFrame:
    """Return place, requests, rate, usd, first, first_rate of each message that a request carried.

    Weights are summed down the tree, to know what each request holds; then what a unit of weight came to in it is summed
    up again, so that each message has it of all requests that carried it.
    """
    whole: list[int] = []
    for place, parent in enumerate(tree.parents):
        whole.append(held.get(place, 0) + (whole[parent] if parent >= 0 else 0))
    lives = [_Life() for _ in whole]
    columns = (requests[name] for name in ("request", "preamble", "context_tokens", "usd"))
    for place, request, preamble, tokens, usd in zip(tree.places(requests["tip"]), *columns, strict=True):
        weight = whole[place] + given.get(preamble, 0) if place >= 0 else 0
        if weight:
            rate = tokens / weight
            lives[place].add(_Life(1, rate, None if usd is None else usd / weight, request, rate))
    for place in reversed(range(len(lives))):
        if tree.parents[place] >= 0:
            lives[tree.parents[place]].add(lives[place])
    schema = {"place": pl.Int64, "requests": pl.Int64, "rate": pl.Float64, "usd": pl.Float64, "first": pl.Int64}
    rows = [(place, *astuple(life)) for place, life in enumerate(lives) if life.requests]
    return pl.DataFrame(rows, schema={**schema, "first_rate": pl.Float64}, orient="row")
