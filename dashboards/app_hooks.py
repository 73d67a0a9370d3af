"""What `panel serve dashboards` runs once, before it serves: from then on everything is guarded."""

from __future__ import annotations

from dashboards.guard import install
from dashboards.serving import configuration

install(configuration())
