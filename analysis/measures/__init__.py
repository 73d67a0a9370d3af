"""What frames come to: cost, cache, context, latency, time, tools, agents, overhead, prompts, routing.

A measure takes frames and gives a lazy frame, for `.pipe`. Refuses to know where frames come from.
"""

from __future__ import annotations

from analysis.measures.agents import agents
from analysis.measures.breaks import breaks
from analysis.measures.cache import cache, unread
from analysis.measures.compactions import compactions
from analysis.measures.context import context
from analysis.measures.cost import cost, saved, unpriced
from analysis.measures.latency import banded, latency, stalls
from analysis.measures.ledger import ledger, stretches
from analysis.measures.overhead import overhead
from analysis.measures.prompts import difference, prompts
from analysis.measures.routing import routing, unrouted
from analysis.measures.tool_results import tool_results
from analysis.measures.tools import by_server, repeats, tools

__all__ = [
    "agents",
    "banded",
    "breaks",
    "by_server",
    "cache",
    "compactions",
    "context",
    "cost",
    "difference",
    "latency",
    "ledger",
    "overhead",
    "prompts",
    "repeats",
    "routing",
    "saved",
    "stalls",
    "stretches",
    "tool_results",
    "tools",
    "unpriced",
    "unread",
    "unrouted",
]
