"""What `panel serve dashboards` runs once, before it serves: the password, where one is set, guards everything from then on."""

from __future__ import annotations

from dashboards.guard import install
from dashboards.serving import configuration

install(configuration().dashboard_password)
