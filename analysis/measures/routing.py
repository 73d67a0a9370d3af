"""What routing costs and saves: exchanges that went to another provider or model, against the same tokens unrouted.

Knows what unrouted means: the model that the client asked for, at Anthropic. Refuses to know prices (cost.py), and how many
tokens that model would have taken for the same work.
"""

from __future__ import annotations

import polars as pl

from .cost import TARIFF, Frame, Prices, cost

UNROUTED_PROVIDER = "anthropic"
GROUP = ("agent", "provider", "model", "requested_model")
_TOKENS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")
_USD = ("input_usd", "cache_read_usd", "cache_write_usd", "output_usd", "web_search_usd", "cost_usd")


def unrouted(exchanges: Frame, prices: Prices = None) -> pl.LazyFrame:
    """Return the frame with unrouted_cost_usd: what the same tokens would have cost in USD had the exchange not been routed,
    that is at Anthropic, by the model that was asked for.

    Takes from `exchanges` what `cost` takes, and routed and requested_model; `prices` is as there. Of an exchange that was not
    routed it is what it cost. Null where the model that was asked for has no price.
    """
    frame = exchanges.lazy()
    names = frame.collect_schema().names()
    aside = {name: f"_{name}" for name in (*TARIFF, *_USD) if name in names}
    routed = pl.col("routed")
    asked = frame.rename(aside).with_columns(
        provider=pl.when(routed).then(pl.lit(UNROUTED_PROVIDER)).otherwise("_provider"),
        endpoint=pl.when(~routed).then("_endpoint"),
        model=pl.when(routed).then("requested_model").otherwise("_model"),
        routed_model=pl.when(~routed).then("_routed_model"),
    )
    back = (pl.col(aside.get(name, name)).alias(name) for name in names)
    return cost(asked, prices).select(*back, pl.col("cost_usd").alias("unrouted_cost_usd"))


def routing(exchanges: Frame, prices: Prices = None) -> pl.LazyFrame:
    """One row per agent, provider and model of the exchanges that were routed, those that saved most first.

    Columns: agent (its name, else the type that the client says, else its id), provider, model, requested_model; exchanges,
    errors (that failed, were interrupted, or were answered with an error), input_tokens, cache_read_tokens,
    cache_write_tokens, output_tokens; cost_usd, unrouted_cost_usd (see `unrouted`) and saved_usd, what routing saved: negative
    where it cost more. The last is summed over the exchanges of which both costs are known, and the others over those of which
    they are; each is null where tokens were used and none of them has a price. unpriced: exchanges of which one of the costs
    is not known. `model` is the one that was routed to. Takes from `exchanges` what `unrouted` takes, and agent_name,
    agent_type, agent_id, state, status and api_error.
    """
    usd, asked = pl.col("cost_usd"), pl.col("unrouted_cost_usd")
    found = unrouted(cost(exchanges.lazy().filter("routed"), prices), prices)
    wrong = (
        pl.col("state").is_in(["failed", "interrupted"]) | (pl.col("status") >= 400) | pl.col("api_error").is_not_null()
    )
    named = found.with_columns(agent=pl.coalesce("agent_name", "agent_type", "agent_id"), model="routed_model")
    sums = named.group_by(GROUP).agg(
        exchanges=pl.len().cast(pl.Int64),
        errors=wrong.fill_null(False).sum().cast(pl.Int64),
        **{name: pl.col(name).sum() for name in _TOKENS},
        cost_usd=_known(usd),
        unrouted_cost_usd=_known(asked),
        saved_usd=_known(asked - usd),
        unpriced=(usd.is_null() | asked.is_null()).sum().cast(pl.Int64),
    )
    return sums.sort("saved_usd", *GROUP, descending=[True, *(False for _ in GROUP)], nulls_last=True)


def _known(usd: pl.Expr) -> pl.Expr:
    """Return the sum of what is known, null where no tokens have a price: that is not a price of zero."""
    used = pl.sum_horizontal(_TOKENS) > 0
    return pl.when(~used.any() | (used & usd.is_not_null()).any()).then(usd.sum())
