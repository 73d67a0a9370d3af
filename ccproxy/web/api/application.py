"""The data API, put together: the application over the stores, the journal and the transcripts that the settings name.

Refuses to answer anything itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping

from quart import Quart

from ccproxy.live import Follower
from ccproxy.records import Position
from ccproxy.settings import Settings
from ccproxy.stores import choosing
from ccproxy.web.api import conversations, live, opening
from ccproxy.web.api.app import create_api


def create(settings: Settings) -> tuple[Quart, Callable[[], Awaitable[None]]]:
    """Return the application, and what ends its endless answers before a stop."""

    def positions() -> Mapping[str, Position]:
        with contextlib.closing(choosing.open_store(settings.storage)) as store:
            return store.positions()

    follower = Follower(settings.storage.journal_dir, positions)
    app = create_api(
        opening.of_storage(settings.storage),
        origins=settings.server.cors_origins,
        blueprints=[live.blueprint(follower), conversations.blueprint(settings.claude.config_dir)],
    )
    return app, follower.close
