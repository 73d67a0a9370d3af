"""The data API: what was captured, for scripts and for the dashboard. A process of its own answers it."""
