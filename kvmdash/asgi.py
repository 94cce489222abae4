"""The ASGI application: pages, API, push sockets and the console road on one port.

The lifespan starts what this process was told to do besides serving: with ``KVMDASH_EMBEDDED=1`` (set by `manage.py up`) the
inventory and operations roles run inside it.
"""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kvmdash.settings")
# Before anything that imports models.
_django = get_asgi_application()

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import OriginValidator  # noqa: E402
from django.conf import settings  # noqa: E402
from django.urls import path  # noqa: E402

from hosts.consumers import LiveConsumer  # noqa: E402
from hosts.transfer.relay import BytesRelay  # noqa: E402
from kvmdash.lifespan import Lifespan  # noqa: E402
from kvmdash.limits import BodyLimit  # noqa: E402
from vms.console.relay import ConsoleRelay  # noqa: E402


def allowed_origins() -> list[str]:
    """Origins that may open websockets: ours, by name."""
    return [*settings.ALLOWED_HOSTS, *settings.PUBLIC_ORIGINS]


application = ProtocolTypeRouter(
    {
        "http": BytesRelay(BodyLimit(_django)),
        "lifespan": Lifespan(embedded=os.environ.get("KVMDASH_EMBEDDED") == "1"),
        "websocket": URLRouter(
            [
                path("ws/live/", OriginValidator(AuthMiddlewareStack(LiveConsumer.as_asgi()), allowed_origins())),
                # A console's ticket is its right. The gateway checks the Origin itself, on this road and on the direct one,
                # and lets programs through, which name none.
                path("ws/console/", ConsoleRelay()),  # type: ignore[arg-type]
            ]
        ),
    }
)
