"""uvicorn as we run it."""

from __future__ import annotations

import warnings

import uvicorn

from kvmdash import memory


def serve(host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM. Compression on websockets would cost ten times the throughput of consoles."""
    memory.use_few_arenas()
    # WhiteNoise reads static files in pieces, on a thread; they are small and kept by browsers for ever.
    warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")
    uvicorn.run(
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
