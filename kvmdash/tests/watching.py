"""Keeping everything that a running dashboard says, writes or runs, by the place where it was seen."""

from __future__ import annotations

import http.client
import re
import socket
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from kvmdash.tests.program import Program

LINKS = re.compile(r'(?:href|hx-get|data-stale-url|data-dialog|data-history-url|src)="(/[^"]*)"')
KEYS = re.compile(r'data-live="([^"]+)"')


class Places:
    """What was found where: place → everything that was seen there."""

    def __init__(self) -> None:
        self.seen: dict[str, list[bytes]] = {}

    def where(self, secret: str) -> set[str]:
        """The places where it turned up."""
        data = secret.encode()
        return {place for place, pieces in self.seen.items() if any(data in piece for piece in pieces)}

    def around(self, secret: str, place: str) -> str:
        """The first time it turned up there, with what stands around it."""
        data = secret.encode()
        piece = next(piece for piece in self.seen[place] if data in piece)
        return repr(piece[max(0, piece.index(data) - 150) : piece.index(data) + 60])

    def add(self, place: str, data: bytes | str) -> None:
        """Keep it."""
        self.seen.setdefault(place, []).append(data.encode() if isinstance(data, str) else data)

    def whole(self, place: str) -> bytes:
        """All of it."""
        return b"\n".join(self.seen[place])

    def files(self, folder: Path, kept: str) -> None:
        """Every file in the data folder; those for libvirt and ssh and the log are places of their own."""
        for path in folder.rglob("*"):
            if path.is_file() and "static" not in path.parts:
                name = path.relative_to(folder).parts[0]
                place = {"run": "files for libvirt and ssh", "log": f"log as {kept}"}.get(name, f"file {name}")
                self.add(place, path.read_bytes())


class Asker:
    """Speaks HTTP with the dashboard as a browser does; what it answers goes to a place."""

    def __init__(self, program: Program, places: Places, place: str = "pages") -> None:
        self.program, self.places, self.place = program, places, place
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, fields: dict[str, str] | None = None, place: str = "") -> tuple[int, str]:
        """(status, body); headers but Set-Cookie are looked at too."""
        connection = http.client.HTTPConnection("127.0.0.1", self.program.port, timeout=30)
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        body = None
        if method == "POST":
            fields = {"csrfmiddlewaretoken": self.cookies.get("kvmdash_csrf", ""), **(fields or {})}
            body, headers["Content-Type"] = urlencode(fields), "application/x-www-form-urlencoded"
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        for line in answer.headers.get_all("Set-Cookie", []):
            name, _sep, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
            self.places.add(f"cookie {name}", value)
        told = "".join(f"{name}: {value}\n" for name, value in answer.headers.items() if name.lower() != "set-cookie")
        self.places.add(place or self.place, f"{told}\n{text}")
        connection.close()
        return answer.status, text

    def login(self, name: str, password: str) -> int:
        """With the form; the status."""
        self.ask("GET", "/account/login/")
        return self.ask("POST", "/account/login/", {"login": name, "password": password})[0]

    @property
    def session(self) -> str:
        """The session's cookie."""
        return self.cookies["kvmdash_session"]

    def crawl(self, most: int) -> set[str]:
        """Every page that a link leads to, up to a number; returns the keys of their live pieces."""
        waiting, done, keys = ["/"], set(), set()
        while waiting and len(done) < most:
            path = waiting.pop(0)
            shape = re.sub(r"[0-9a-f-]{36}|\d+", "#", urlsplit(path).path)
            if path in done or sum(re.sub(r"[0-9a-f-]{36}|\d+", "#", urlsplit(p).path) == shape for p in done) >= 4:
                continue
            done.add(path)
            _status, text = self.ask("GET", path)
            keys |= set(KEYS.findall(text))
            links = [link.replace("&amp;", "&").partition("#")[0] for link in LINKS.findall(text)]
            waiting += [link for link in links if not link.startswith("/static/")]
        return keys


class CommandLines:
    """Every command line that any process has while this is open."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> CommandLines:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.03):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(path.read_bytes())
                except OSError:
                    continue


@contextmanager
def silent_port() -> Any:
    """Takes connections and says nothing: an ssh client waits there."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        yield listener.getsockname()[1]
