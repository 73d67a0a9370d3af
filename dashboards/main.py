"""What `panel serve dashboards` runs for each browser tab."""

from __future__ import annotations

from dashboards.serving import tab

tab().servable()
