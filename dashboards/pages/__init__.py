"""The pages, in the order of the header. A page takes a View and gives back what stands below the filter bar; queries are in `data`."""

from __future__ import annotations

from dashboards.pages import cache, context, exchanges, latency, live, sessions, setup, sql, tokens, tools
from dashboards.view import Page

PAGES: dict[str, Page] = {
    "live": live.page,
    "sessions": sessions.page,
    "exchanges": exchanges.page,
    "tokens": tokens.page,
    "cache": cache.page,
    "context": context.page,
    "latency": latency.page,
    "tools": tools.page,
    "sql": sql.page,
    "setup": setup.page,
}
