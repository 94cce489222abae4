"""Open pages: what virsh does to the guest that they show, browsers that stall, and hundreds that reconnect at once."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from kvmdash.tests.faults import XML, Stand, Stands
from kvmdash.tests.pages import LivePage, log_in
from kvmdash.tests.program import Program
from lab.testhosts import libvirtd_path

PAGES = 500
STALLED = 10
#: characters of a description, and how many are written: more than all buffers on the way to a stalled browser hold
LONG, MANY = 200_000, 60
MIB = 1 << 20


@pytest.fixture(scope="module")
def stands() -> Iterator[Stands]:
    if libvirtd_path() is None:
        pytest.skip("libvirtd is not installed")
    program = Program()
    made = Stands(program, ["start"])
    try:
        program.start()
        made.start()
        yield made
    finally:
        program.stop()
        made.remove()
    if "Traceback" in program.log():
        sys.stderr.write(program.log()[-6000:])
    shutil.rmtree(program.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def session(stands: Stands) -> str:
    return log_in(stands.program)


@pytest.fixture
def stand(stands: Stands) -> Stand:
    """A host with a guest that is off."""
    stands.prepare()
    return stands.all["start"]


def page(stands: Stands, session: str, stand: Stand, *names: str) -> LivePage:
    return LivePage(stands.program, session, *(f"{name}:{stand.identity}" for name in names), "stale:vms")


def says(shown: LivePage, name: str, stand: Stand, words: str) -> bool:
    return bool(re.search(words, shown.shown.get(f"{name}:{stand.identity}") or ""))


async def test_the_page_of_a_guest_that_virsh_renames_has_the_new_name(
    stands: Stands, session: str, stand: Stand
) -> None:
    async with page(stands, session, stand, "vm-head") as shown:
        await asyncio.to_thread(stand.domain().rename, "renamed")
        await shown.until(lambda: says(shown, "vm-head", stand, "renamed"), "the new name")


async def test_the_page_of_a_guest_that_virsh_redefines_has_the_new_facts(
    stands: Stands, session: str, stand: Stand
) -> None:
    async with page(stands, session, stand, "vm-facts") as shown:
        other = XML.format(name="start", uuid=stand.identity).replace(">64<", ">192<")
        await asyncio.to_thread(stand.raw.defineXML, other)
        await shown.until(lambda: says(shown, "vm-facts", stand, r"192(&nbsp;|\s)MiB"), "the new memory")


async def test_the_page_of_a_guest_that_virsh_undefines_says_that_it_is_gone(
    stands: Stands, session: str, stand: Stand
) -> None:
    async with page(stands, session, stand, "vm-head") as shown:
        await asyncio.to_thread(stand.domain().undefine)
        await shown.until(lambda: says(shown, "vm-head", stand, "Gone"), "that it is gone")


async def test_the_page_of_a_guest_whose_name_another_has_now_says_that_it_is_gone(
    stands: Stands, session: str, stand: Stand
) -> None:
    successor = str(uuid.uuid4())
    async with page(stands, session, stand, "vm-head") as shown:
        await asyncio.to_thread(stand.domain().undefine)
        await asyncio.to_thread(stand.raw.defineXML, XML.format(name="start", uuid=successor))
        await shown.until(lambda: says(shown, "vm-head", stand, "Gone"), "that it is gone")
        await shown.until(lambda: "vms" in shown.stale, "that the list is another")
    stand.raw.lookupByUUIDString(successor).undefine()


def describe(stand: Stand, text: str) -> None:
    stand.domain().setMetadata(libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, text, None, None, 0)


def memory_of(program: Program) -> int:
    """Bytes of real memory that the program has."""
    assert program.process is not None
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]


async def stalled_page(stands: Stands, session: str, stand: Stand) -> LivePage:
    """A page whose browser takes nothing any more, with little room on the way to it."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    narrow.connect(("127.0.0.1", stands.program.port))
    return await page(stands, session, stand, "vm-facts").open(sock=narrow, max_queue=1)


async def test_browsers_that_stall_hold_up_nobody_and_cost_no_memory(
    stands: Stands, session: str, stand: Stand
) -> None:
    stalled = [await stalled_page(stands, session, stand) for _ in range(STALLED)]
    async with page(stands, session, stand, "vm-facts") as brisk:
        await change_and_see(stand, brisk, 0)
        before = memory_of(stands.program)
        for number in range(1, MANY + 1):
            await change_and_see(stand, brisk, number)
        grown = memory_of(stands.program) - before
    assert grown < STALLED * LONG * MANY / 2, f"{grown / MIB:.0f} MiB for {STALLED} browsers that take nothing"
    for late in stalled:
        await late.until(lambda late=late: is_described(late, stand, MANY), "the newest", 60)
        late.drop()


async def change_and_see(stand: Stand, shown: LivePage, number: int) -> None:
    await asyncio.to_thread(describe, stand, f"text {number} {'x' * LONG}")
    await shown.until(lambda: is_described(shown, stand, number), f"text {number}")


def is_described(shown: LivePage, stand: Stand, number: int) -> bool:
    return says(shown, "vm-facts", stand, f"text {number} x")


async def test_hundreds_of_pages_that_reconnect_at_once_are_all_caught_up(
    stands: Stands, session: str, stand: Stand
) -> None:
    before = memory_of(stands.program)
    async with page(stands, session, stand, "vm-facts") as steady:
        for wave in ("first", "second"):
            opening = asyncio.gather(*(page(stands, session, stand, "vm-facts").open() for _ in range(PAGES)))
            # Somebody who is there already sees changes while they come.
            await asyncio.to_thread(describe, stand, f"{wave}, meanwhile")
            await is_caught_up(steady, stand, f"{wave}, meanwhile")
            pages = await opening
            await asyncio.to_thread(describe, stand, f"{wave}, at last")
            await asyncio.gather(*(is_caught_up(one, stand, f"{wave}, at last") for one in pages))
            grown = memory_of(stands.program) - before
            for one in pages:
                one.drop()
    assert grown < PAGES * 256 * 1024, f"{grown / MIB:.0f} MiB for {PAGES} pages"


async def is_caught_up(shown: LivePage, stand: Stand, words: str) -> None:
    await shown.until(lambda: says(shown, "vm-facts", stand, words), words, 150)
