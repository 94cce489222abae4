"""kvmdash as deploy/ says: in production mode with the example's settings, behind the real nginx and the real Caddy."""

from __future__ import annotations

import asyncio
import http.client
import os
import re
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from websockets.asyncio.client import ClientConnection, connect

from conftest import wait_until
from hosts.tests.pem import Authority
from kvmdash.keys import new_encryption_key, new_secret_key
from kvmdash.tests.program import PASSWORD, PROJECT, Program
from lab.testhosts import free_port

DEPLOY = PROJECT / "deploy"
NAME = "kvm.example.com"
#: a browser's address; the proxy sees it, the dashboard only hears of it
BROWSER = "127.0.0.9"


def swapped(text: str, pairs: dict[str, str]) -> str:
    """``text`` with each of ``pairs`` replaced; what is not there any more is a mistake in the test."""
    for old, new in pairs.items():
        assert old in text, f"{old!r} is not in the file"
        text = text.replace(old, new)
    return text


def example_settings() -> dict[str, str]:
    """What deploy/kvmdash.env.example sets."""
    lines = (DEPLOY / "kvmdash.env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def key_files(folder: Path) -> dict[str, str]:
    """The two files of keys, as the walk in deploy/README.md makes them; where the settings find them."""
    made = {"KVMDASH_SECRET_KEY_FILE": new_secret_key(), "KVMDASH_ENCRYPTION_KEYS_FILE": new_encryption_key()}
    for name, text in made.items():
        file = folder / name
        file.touch(0o600)
        file.write_text(text)
    return {name: str(folder / name) for name in made}


class Deployed(Program):
    """The dashboard in production mode. It speaks plain HTTP to the proxies in front of it."""

    def __init__(self, ports: list[int], **environment: str) -> None:
        super().__init__()
        self.gateway_port = free_port()
        origins = ",".join(f"https://{NAME}:{port}" for port in ports)
        self.environment |= example_settings() | key_files(self.folder)
        self.environment |= {
            "KVMDASH_DATA_DIR": str(self.folder),
            "KVMDASH_ORIGINS": origins,
            "KVMDASH_CONSOLE_GATEWAY": f"127.0.0.1:{self.gateway_port}",
            "KVMDASH_ALLOW_TEST_URI": "1",
            **environment,
        }

    def prepare(self, name: str, uri: str) -> None:
        """Static files, as their unit collects them, and meanwhile the database and one host."""
        command = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"]
        static = subprocess.Popen(command, cwd=PROJECT, env=self.environment)
        self.manage("migrate_all")
        self.manage("add_host", name, uri)
        assert static.wait(120) == 0
        self.token = "none"

    def _answers(self) -> bool:
        assert self.process is not None and self.process.poll() is None, self.log()[-3000:]
        return all(listens(port) for port in (self.port, self.gateway_port))


def listens(port: int) -> bool:
    """Whether something takes connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class Proxy:
    """nginx or Caddy with deploy's own file, in which only addresses, ports and paths are swapped."""

    def __init__(
        self, kind: str, port: int, web: int, consoles: int, authority: Authority, second_web: int | None = None
    ) -> None:
        self.kind, self.port, self.plain_port, self.second_web = kind, port, free_port(), second_web
        self.folder = Path(os.path.realpath(tempfile.mkdtemp(prefix=f"kvmdash-{kind}-")))
        self.certificate, key = authority.issue(NAME)
        (self.folder / "fullchain.pem").write_text(self.certificate)
        (self.folder / "key.pem").write_text(key)
        command = (_nginx if kind == "nginx" else _caddy)(self, web, consoles)
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        log = (self.folder / "stderr").open("wb")
        self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        wait_until(lambda: listens(self.port), 20, f"{kind} to listen; {(self.folder / 'stderr').read_text()}")

    @property
    def origin(self) -> str:
        """What a browser calls it."""
        return f"https://{NAME}:{self.port}"

    def logs(self) -> str:
        """Everything it wrote."""
        files = [self.folder / "stderr", *self.folder.glob("*.log")]
        return "".join(file.read_text(errors="replace") for file in files)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)


def program_of(kind: str) -> str:
    """The proxy's program; skips where it is not installed."""
    found = shutil.which(kind, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        pytest.skip(f"{kind} is not installed")
    return found


def _nginx(proxy: Proxy, web: int, consoles: int) -> list[str]:
    site = swapped(
        re.sub(r"\n +listen \[::\].*", "", (DEPLOY / "nginx.conf").read_text()),
        {
            "server 127.0.0.1:8000": f"server 127.0.0.1:{web}",
            "server 127.0.0.1:6080": f"server 127.0.0.1:{consoles}",
            "listen 80;": f"listen 127.0.0.1:{proxy.plain_port};",
            "listen 443 ssl http2;": f"listen 127.0.0.1:{proxy.port} ssl http2;",
            "/etc/ssl/kvmdash": str(proxy.folder),
            "/var/log/nginx": str(proxy.folder),
        },
    )
    if proxy.second_web is not None:
        line = f"server 127.0.0.1:{web} max_fails=0;"
        site = swapped(site, {line: f"{line} server 127.0.0.1:{proxy.second_web} max_fails=0;"})
    paths = "".join(
        f"{name}_temp_path {proxy.folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    main = f"{user} worker_processes 1; pid {proxy.folder}/pid; daemon off; error_log {proxy.folder}/error.log info;"
    (proxy.folder / "site.conf").write_text(site)
    (proxy.folder / "main.conf").write_text(f"{main} events {{}} http {{ {paths} include {proxy.folder}/site.conf; }}")
    return [program_of("nginx"), "-p", str(proxy.folder), "-c", str(proxy.folder / "main.conf"), "-e", "stderr"]


def _caddy(proxy: Proxy, web: int, consoles: int) -> list[str]:
    options = f"{{\n\tadmin off\n\thttp_port {proxy.plain_port}\n\thttps_port {proxy.port}\n\tskip_install_trust\n"
    certificate = f"{proxy.folder}/fullchain.pem {proxy.folder}/key.pem"
    file = swapped(
        (DEPLOY / "Caddyfile").read_text(),
        {
            "{\n\t# Errors": f"{options}\t# Errors",
            f"{NAME} {{": f"{NAME} {{\n\tbind 127.0.0.1\n\ttls {certificate}",
            "127.0.0.1:8000": f"127.0.0.1:{web}",
            "127.0.0.1:6080": f"127.0.0.1:{consoles}",
            "/var/log/caddy": str(proxy.folder),
        },
    )
    if proxy.second_web is not None:
        line = f"reverse_proxy 127.0.0.1:{web}"
        file = swapped(file, {line: f"{line} 127.0.0.1:{proxy.second_web}"})
    (proxy.folder / "Caddyfile").write_text(file)
    return [program_of("caddy"), "run", "--adapter", "caddyfile", "--config", str(proxy.folder / "Caddyfile")]


class Socket:
    """A websocket over TLS with a plain face. One thread alone reads and writes: Python's TLS is not made for two."""

    def __init__(self, url: str, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        try:
            self._socket = self._do(self._open(url, options))
        except BaseException:
            self._end()
            raise

    async def _open(self, url: str, options: dict[str, Any]) -> ClientConnection:
        return await connect(url, compression=None, proxy=None, open_timeout=20, close_timeout=1, **options)

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(40)

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def recv(self, timeout: float = 20) -> Any:
        """The next message; raises ConnectionClosed."""
        return self._do(asyncio.wait_for(self._socket.recv(), timeout))

    def send(self, data: bytes | str) -> None:
        """One message."""
        self._do(self._socket.send(data))

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._socket.close())
        self._end()


class Browser:
    """Speaks TLS with the proxy, believes only the test's authority, and keeps cookies."""

    def __init__(self, proxy: Proxy, authority: Authority, source: str = BROWSER) -> None:
        self.proxy, self.source = proxy, source
        self.context = ssl.create_default_context(cadata=authority.pem)
        self.cookies: dict[str, str] = {}
        self.set_cookies: list[str] = []

    def _socket(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.proxy.port), 20, (self.source, 0))

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> http.client.HTTPResponse:
        """One request; the answer's body is in ``.text``."""
        connection = http.client.HTTPSConnection(NAME, self.proxy.port, timeout=30)
        connection.sock = self.context.wrap_socket(self._socket(), server_hostname=NAME)
        fixed = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        fixed |= {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
        connection.request(method, path, body, fixed | {name.replace("_", "-"): text for name, text in headers.items()})
        answer: Any = connection.getresponse()
        answer.content = answer.read()
        answer.text = answer.content.decode(errors="replace")
        for line in answer.headers.get_all("Set-Cookie", []):
            self.set_cookies.append(line)
            name, _sep, value = line.split(";")[0].partition("=")
            self.cookies[name] = value
        connection.close()
        return answer

    def login(self, password: str = PASSWORD, **headers: str) -> http.client.HTTPResponse:
        """As a person does, with the form's token."""
        form: Any = self.ask("GET", "/account/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text)
        assert token is not None, form.text[:2000]
        fields = {"csrfmiddlewaretoken": token[1], "login": "admin", "password": password}
        body = urlencode(fields).encode()
        return self.ask("POST", "/account/login/", body, Origin=self.proxy.origin, Referer=self.proxy.origin, **headers)

    def websocket(self, path: str, origin: str | None = None, **headers: str) -> Socket:
        """Open one, as a page of ``origin`` would (its own when there is none); raises InvalidStatus."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return Socket(
            f"wss://{NAME}:{self.proxy.port}{path}", sock=self._socket(), ssl=self.context,
            origin=origin or self.proxy.origin, additional_headers={"Cookie": cookies, **headers},
            subprotocols=["binary"] if "console" in path else None,
        )  # fmt: skip


def odd_ticket() -> str:
    """A ticket's text that nobody issued."""
    return secrets.token_urlsafe(32)
