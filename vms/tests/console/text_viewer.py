"""A browser that looks at a text console, as far as the gateway can tell. It needs no settings: benchmarks use it too."""

from __future__ import annotations

import json
import struct
from typing import Any

from vms.console.serial import wire
from vms.tests.console.viewer import Viewer


class TextViewer(Viewer):
    """Reads records, keeps what the guest wrote and how things are."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.history = self.live = b""
        self.skipped = 0
        self.status: dict[str, Any] = {}

    def one(self, seconds: float = 20) -> int:
        """Take in one record; its kind."""
        kind, length = struct.unpack(">BI", self.read(5, seconds))
        payload = self.read(length, seconds)
        if kind == wire.LIVE:
            self.live += payload
        elif kind == wire.HISTORY:
            self.history += payload
        elif kind == wire.STATUS:
            self.status = json.loads(payload)
        else:
            assert kind == wire.SKIPPED
            self.skipped += struct.unpack(">Q", payload)[0]
        return kind

    def until(self, condition: Any) -> TextViewer:
        """Read on until it is so."""
        while not condition(self):
            self.one()
        return self

    def sees(self, text: bytes) -> TextViewer:
        """Read on until the guest has written this."""
        return self.until(lambda me: text in me.live)

    def has(self, count: int) -> TextViewer:
        """Read on until so much came, or is said to have been left out."""
        return self.until(lambda me: len(me.live) + me.skipped >= count)

    def told(self, **facts: Any) -> TextViewer:
        """Read on until things are so."""
        return self.until(lambda me: me.status and all(me.status[name] == value for name, value in facts.items()))

    def type(self, data: bytes) -> None:
        """Press keys."""
        self.send(wire.record(wire.INPUT, data))

    def ask(self, wish: str) -> None:
        """Ask for something."""
        self.send(wire.record(wire.ASK, json.dumps({"do": wish}).encode()))
