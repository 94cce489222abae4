"""Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kvmdash.tests.program import PASSWORD, Program

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

NETWORK_CHANGED = "net::ERR_NETWORK_CHANGED"


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless browser."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


def sign_in(browser: Any, program: Program, name: str = "admin", password: str = PASSWORD, **options: Any) -> Any:
    """A page of a fresh context, logged in. What the page complains of is collected in ``page.complaints``."""
    context = browser.new_context(base_url=program.url, **options)
    page = context.new_page()
    page.complaints = []
    _go_again_when_the_network_changed(page)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda message: _note(page, message))
    page.goto("/account/login/")
    page.fill("input[name=login]", name)
    page.fill("input[name=password]", password)
    page.click("main button[type=submit], form button[type=submit]")
    page.wait_for_url(lambda url: "/login" not in url)
    return page


def _go_again_when_the_network_changed(page: Any) -> None:
    """Chromium drops what it is loading whenever an address of the machine comes or goes, as with a lab that comes up beside."""
    go, dropped = page.goto, []
    page.on(
        "requestfailed", lambda request: dropped.append(request) if NETWORK_CHANGED in (request.failure or "") else None
    )

    def goto(*where: Any, **how: Any) -> Any:
        for _try in range(5):
            dropped.clear()
            try:
                found = go(*where, **how)
            except Exception as error:
                if NETWORK_CHANGED not in str(error):
                    raise
                continue
            if not dropped:
                return found
        raise AssertionError(f"the network did not stop changing: {dropped}")

    page.goto = goto


def _note(page: Any, message: Any) -> None:
    if NETWORK_CHANGED in message.text:
        return
    if message.type == "error" or "Content Security Policy" in message.text:
        page.complaints.append(message.text)
