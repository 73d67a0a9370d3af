"""The data API as a Quart application.

Puts the routes together. Refuses to know who may ask: the proxy that passes requests on to it has decided that.
"""

from __future__ import annotations

from collections.abc import Sequence

from quart import Blueprint, Quart
from quart_cors import cors

from ccproxy.web.api import documents, exchanges, figures, sessions
from ccproxy.web.api.answering import keep_safe
from ccproxy.web.api.opening import Stores

MAX_BODY = 1 << 20  # nothing that is taken is larger


def create_api(stores: Stores, *, origins: Sequence[str] = (), blueprints: Sequence[Blueprint] = ()) -> Quart:
    """Return the application over these stores, which it closes when it stops.

    Pages of `origins` may read and change captures, with the browser's credentials; pages of others may not.
    """
    app = Quart("ccproxy.api", static_folder=None)
    app.config["RESPONSE_TIMEOUT"] = None  # a large download to a slow reader takes as long as it takes
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.url_map.merge_slashes = False  # an id may hold any
    own = [module.blueprint(stores) for module in (exchanges, sessions, figures)]
    for blueprint in (*own, *blueprints):
        app.register_blueprint(blueprint)
    documents.publish(app)
    keep_safe(app)
    app.after_serving(stores.close)
    return cors(app, allow_origin=origins, allow_credentials=True, allow_headers=["authorization", "content-type"])
