"""The limit on bodies, at the ASGI application itself (test_deploy has the real server)."""

from __future__ import annotations

from typing import Any

import pytest

from kvmdash.limits import BodyLimit, most_bytes


class Application:
    """Reads the body, as Django does, and answers how long it was."""

    def __init__(self) -> None:
        self.called = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.called = True
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(size).encode()})


async def ask(parts: list[bytes], path: str = "/", declared: int | None = None) -> tuple[int, bytes, Application]:
    """(status, body, the application behind)."""
    application, sent, waiting = Application(), [], list(parts)
    headers = [(b"content-length", str(declared).encode())] if declared is not None else []

    async def receive() -> dict[str, Any]:
        body = waiting.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await BodyLimit(application)({"type": "http", "path": path, "headers": headers}, receive, send)
    return sent[0]["status"], sent[1]["body"], application


async def test_a_body_as_large_as_may_be_is_taken() -> None:
    status, body, _application = await ask([bytes(most_bytes() - 1), b"x"], declared=most_bytes())
    assert (status, body) == (200, str(most_bytes()).encode())


async def test_a_body_that_says_it_is_too_large_is_not_even_begun() -> None:
    status, body, application = await ask([], declared=most_bytes() + 1)
    assert (status, application.called) == (413, False)
    assert str(most_bytes()).encode() in body


async def test_a_body_that_turns_out_to_be_too_large_is_not_read_to_its_end() -> None:
    parts = [bytes(1 << 20)] * 1000
    status, _body, _application = await ask(parts)
    assert status == 413


@pytest.mark.parametrize("declared", ["nonsense", "-1", "", "１２"])
async def test_a_length_that_is_none_is_left_to_the_counting(declared: str) -> None:
    status, _body, _application = await ask([bytes(most_bytes() + 1)], declared=declared)  # type: ignore[arg-type]
    assert status == 413


async def test_the_api_is_answered_with_a_problem() -> None:
    _status, body, _application = await ask([], "/api/v1/vms", most_bytes() + 1)
    assert b'"status": 413' in body and b"too-large" in body
