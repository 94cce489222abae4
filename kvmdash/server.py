"""uvicorn as we run it."""

from __future__ import annotations

import contextlib
import socket
import sys
import warnings

import uvicorn

from kvmdash import memory, readiness

#: what uvicorn itself ends with when it could not start
NOT_STARTED = 3


class Server(uvicorn.Server):
    """Says when it answers."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Raises SystemExit when the port is taken or the lifespan fails."""
        await super().startup(sockets)
        readiness.tell()


def serve(host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM. Compression on websockets would cost ten times the throughput of consoles."""
    memory.use_few_arenas()
    # WhiteNoise reads static files in pieces, on a thread; they are small and kept by browsers for ever.
    warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")
    config = uvicorn.Config(
        "kvmdash.asgi:application",
        host=host,
        port=port,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=4 * 1024 * 1024,
        proxy_headers=False,
        timeout_graceful_shutdown=3,
    )
    config.load_app()
    server = Server(config)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(NOT_STARTED)
