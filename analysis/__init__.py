"""The toolkit to understand what was captured: frames, SQL and measures over the store.

import analysis
cap = analysis.open()                 # the configured store; or a path, a DSN, a folder of Parquet
cap.exchanges().collect()
cap.sql("select model, sum(output_tokens) from exchanges group by 1")
"""

from __future__ import annotations

from analysis.capture import Capture
from analysis.configured import Configuration, configuration
from analysis.demonstration import demo
from analysis.dictionary import columns
from analysis.errors import AnalysisError, QueryError
from analysis.limits import Limit
from analysis.opening import open_captures as open  # noqa: A004 - `analysis.open()` is how it reads

__all__ = [
    "AnalysisError",
    "Capture",
    "Configuration",
    "Limit",
    "QueryError",
    "columns",
    "configuration",
    "demo",
    "open",
]
