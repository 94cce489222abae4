"""A web server on loopback that behaves as badly as it is told."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class WebServer:
    """``files`` by path; ``breaks``: after how many bytes each of the next answers ends; ``sends_to``: path → redirect."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.version = '"one"'
        self.breaks: list[int] = []
        self.sends_to: dict[str, str] = {}
        self.knows_ranges = True
        self.says_length = True
        self.asked: list[tuple[str, str]] = []
        #: answers wait until it is set after so many bytes
        self.gate = threading.Event()
        self.gate.set()
        self.gate_at = 0
        handler = type("Handler", (_Handler,), {"web": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server.server_port}{path}"

    def close(self) -> None:
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    web: WebServer

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        web, wanted = self.web, self.headers.get("Range", "")
        web.asked.append((self.path, wanted))
        path = self.path.partition("?")[0]
        if path in web.sends_to:
            self.send_response(302)
            self.send_header("Location", web.sends_to[path])
            self.end_headers()
            return
        if path not in web.files:
            self.send_error(404)
            return
        self._send(web, web.files[path], wanted)

    def _send(self, web: WebServer, data: bytes, wanted: str) -> None:
        found = re.match(r"bytes=(\d+)-", wanted)
        same = self.headers.get("If-Range", web.version) == web.version
        start = int(found[1]) if found and same and web.knows_ranges else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if web.says_length:
            self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", web.version)
        self.end_headers()
        end = start + web.breaks.pop(0) if web.breaks else len(data)
        try:
            if web.gate_at and not web.gate.is_set():
                self.wfile.write(data[start : web.gate_at])
                start = max(start, web.gate_at)
                web.gate.wait(30)
            self.wfile.write(data[start:end])
        except OSError:
            return
