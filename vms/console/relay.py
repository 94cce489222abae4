"""The one-port road: the browser's websocket, handed on to the gateway."""


class ConsoleRelay:
    """ASGI application for ``/ws/console/``."""

    async def __call__(self, scope, receive, send):  # type: ignore[no-untyped-def]
        await send({"type": "websocket.close", "code": 4404})
