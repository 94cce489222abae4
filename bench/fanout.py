"""One change to a thousand open pages: from bare libvirt-python's callback until each websocket has the new row.

python -m bench.fanout [--sockets 1000] [--changes 40]

The sockets are clients of the `websockets` library in a process of their own, which reads a thousand messages itself meanwhile: its
share is in the figures. For comparison the same clients are told as much by a bare asyncio server that does nothing else.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

import libvirt

from bench.push import Ear
from bench.report import Figure, arguments, at_most, fact, finish, say
from bench.running import cookies_of, dashboard, host_of, share

GOAL = 60.0
SECONDS_BETWEEN = 0.7


# --- the clients, in a process of their own: `--clients URL COUNT KEY COOKIE`, then a line for each change asked of it


async def clients(url: str, count: int, key: str, cookie: str) -> None:
    """Connect, say 'ready', then print for each line of input when each socket got what it waits for, in ms since 1970."""
    from websockets.asyncio.client import connect

    arrivals: list[list[float]] = [[] for _ in range(count)]
    headers = {"Cookie": cookie, "Origin": url.replace("ws://", "http://").partition("/ws")[0]}

    async def one(number: int, gate: asyncio.Semaphore, ready: asyncio.Event) -> None:
        async with gate:
            socket = await connect(
                url, additional_headers=headers, compression=None, ping_interval=None, max_queue=None
            )
            await socket.recv()
            await socket.send(json.dumps({"watch": [key]}))
        ready.set()
        mine, wanted = arrivals[number], f'"{key}"'
        while True:
            text = await socket.recv()
            at = 1000 * time.time()
            if wanted in text:
                mine.append(at)

    gate, events = asyncio.Semaphore(20), [asyncio.Event() for _ in range(count)]
    tasks = [asyncio.create_task(one(number, gate, event)) for number, event in enumerate(events)]
    await asyncio.gather(*(event.wait() for event in events))
    gc.collect()
    gc.freeze()
    gc.disable()  # What is measured is not how long this process looks for its garbage.
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        since, until = map(float, line.split())
        print(json.dumps([[at for at in mine if since <= at < until] for mine in arrivals]), flush=True)
    for task in tasks:
        task.cancel()


class Clients:
    """The process, from outside."""

    def __init__(self, url: str, count: int, key: str, cookie: str) -> None:
        command = [sys.executable, "-m", "bench.fanout", "--clients", url, str(count), key, cookie]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "ready\n":
            raise SystemExit("the clients could not connect")

    def arrivals(self, since: float, until: float) -> list[list[float]]:
        """For each socket when it got something in that time."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{since} {until}\n")
        self.process.stdin.flush()
        found: list[list[float]] = json.loads(self.process.stdout.readline())
        return found

    def close(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(20)


# --- measuring


def through_kvmdash(sockets: int, changes: int) -> tuple[list[float], list[float]]:
    """Milliseconds of all deliveries, and of the last one of each change."""
    with host_of(50) as (host, uuids), dashboard({"kvm1": host.uri}) as program:
        ear, connection = Ear(host.uri), libvirt.open(host.uri)
        cookie = "; ".join(f"{name}={value}" for name, value in cookies_of(program).items())
        url = program.url.replace("http://", "ws://") + "/ws/live/"
        there = Clients(url, sockets, f"vm-row:{uuids[0]}", cookie)
        try:
            say(f"{sockets} sockets watch one row; {changes} changes")
            time.sleep(12)  # What changed before a page was opened is told again for so long.
            domain = connection.lookupByUUIDString(uuids[0])
            every, last = [], []
            for number in range(changes):
                ear.heard.clear()
                (domain.resume if number % 2 else domain.suspend)()
                time.sleep(SECONDS_BETWEEN + random.uniform(0, 0.3))
                at = ear.heard[0][1]
                found = there.arrivals(at, at + 1000 * SECONDS_BETWEEN)
                lost = sum(not mine for mine in found)
                if lost:
                    raise SystemExit(f"{lost} sockets were not told of change {number}")
                every += [mine[0] - at for mine in found]
                last.append(max(mine[0] - at for mine in found))
            return every, last
        finally:
            there.close()


async def bare_server(sockets: int, changes: int, size: int) -> list[float]:
    """The last delivery of each of some messages by a server that only sends."""
    from websockets.asyncio.server import broadcast, serve
    from websockets.exceptions import ConnectionClosed

    text, open_ones = '"row"' + "x" * size, set()

    async def hold(socket: Any) -> None:
        open_ones.add(socket)
        await socket.send("hello")
        with suppress(ConnectionClosed):
            async for _message in socket:
                pass

    async with serve(hold, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        port = server.sockets[0].getsockname()[1]
        there = await asyncio.to_thread(Clients, f"ws://127.0.0.1:{port}/ws", sockets, "row", "")
        last = []
        for _ in range(changes):
            at = 1000 * time.time()
            broadcast(open_ones, text)
            await asyncio.sleep(SECONDS_BETWEEN)
            found = await asyncio.to_thread(there.arrivals, at, at + 1000 * SECONDS_BETWEEN)
            last.append(max(mine[0] - at for mine in found))
        await asyncio.to_thread(there.close)
        return last


def measure(sockets: int, changes: int) -> list[Figure]:
    every, last = through_kvmdash(sockets, changes)
    bare = asyncio.run(bare_server(sockets, changes, 3000))
    return [
        at_most(f"one change to {sockets} sockets, 99 of 100 deliveries", share(every, 0.99), GOAL, " ms"),
        fact("the same, half of the deliveries", f"{statistics.median(every):.1f} ms"),
        fact("the same, the last of each change, median", f"{statistics.median(last):.1f} ms"),
        fact("a bare asyncio server to the same clients: the last of each, median", f"{statistics.median(bare):.1f} ms"),
    ]  # fmt: skip


def main() -> None:
    if sys.argv[1:2] == ["--clients"]:
        url, count, key, cookie = sys.argv[2:6]
        asyncio.run(clients(url, int(count), key, cookie))
        return
    parser = arguments(__doc__)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--changes", type=int, default=40)
    options = parser.parse_args()
    finish(measure(options.sockets, options.changes), options)


if __name__ == "__main__":
    main()
