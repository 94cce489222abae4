"""How a console ends: the codes the browser is told, and the exception that carries one of them through the gateway."""

from __future__ import annotations

NORMAL = 1000
PROTOCOL = 1002
TICKET = 4401
WITHDRAWN = 4403
NO_SCREEN = 4404
MOVED = 4410
ELSEWHERE = 4423
UNREACHABLE = 4502
NO_GATEWAY = 4503


class Closing(Exception):
    """The console ends with this code; the text is fit to be shown."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    @property
    def reason(self) -> str:
        """The text as it fits into a close frame (123 bytes of UTF-8)."""
        return self.text.encode()[:123].decode(errors="ignore")
