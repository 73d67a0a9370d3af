"""What can go wrong in analysis, as one clear sentence each.

Refuses to know where it is caught.
"""

from __future__ import annotations


class AnalysisError(Exception):
    """What was asked cannot be done; the sentence says why and what to do."""


class QueryError(AnalysisError):
    """A query that cannot be run, or that would do more than read."""
