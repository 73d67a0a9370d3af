"""ccproxy: a transparent streaming proxy for Claude Code that captures every exchange.

This package is the proxy, its journal, the ingest and the stores. Reading what was captured with frames and SQL is the
business of `analysis`; looking at it that of `dashboards`.
"""

__version__ = "0.1.0"
