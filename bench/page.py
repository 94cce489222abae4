"""What the list of guests costs: 5,000 against 100, and with hosts that hang against without.

python -m bench.page [--guests 100 5000] [--rounds 3] [--requests 60]

`manage.py up` with one host of running guests for each size, asked over loopback by turns, one request at a time. Then beside the
largest there is a host that takes connections and never answers, and one whose libvirtd is stopped (SIGSTOP); both are enabled and
disabled by turns, and asked for pages from the moment at which the second one is stopped.
"""

from __future__ import annotations

import http.client
import socket
import sqlite3
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.report import Figure, arguments, at_most, fact, finish, say
from bench.running import cookies_of, dashboard, host_of, share, wait_for
from kvmdash.tests.program import Program

GOAL_MS, GOAL_TIMES, GOAL_TROUBLED = 100.0, 1.1, 1.1
PATH = "/vms/"


class Reader:
    """One person's browser, as far as the server can tell: one connection, a session."""

    def __init__(self, program: Program) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=60)
        self.headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies_of(program).items())}

    def connect(self) -> None:
        """Anew: the server closes a connection that is idle for five seconds."""
        self.connection.close()
        self.connection.connect()

    def seconds(self) -> float:
        """One page."""
        begun = time.perf_counter()
        self.connection.request("GET", PATH, headers=self.headers)
        answer = self.connection.getresponse()
        body = answer.read()
        took = time.perf_counter() - begun
        assert answer.status == 200 and body.count(b"data-row-opens") >= 50, (answer.status, body[:200])
        return took


def by_turns(readers: list[Reader], requests: int) -> list[list[float]]:
    """Milliseconds of so many pages from each."""
    took: list[list[float]] = [[] for _ in readers]
    for reader in readers:
        reader.connect()
    for _ in range(requests):
        for times, reader in zip(took, readers, strict=True):
            times.append(1000 * reader.seconds())
    return took


@contextmanager
def black_hole() -> Iterator[str]:
    """The URI of a host that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        yield f"test+tcp://127.0.0.1:{listener.getsockname()[1]}/default"


class Troubles:
    """Two hosts that hang, enabled or not."""

    def __init__(self, program: Program) -> None:
        self.rows = sqlite3.connect(program.folder / "kvmdash.sqlite3", timeout=30, isolation_level=None)

    def enable(self, on: bool) -> None:
        """The supervisor looks at the rows every two seconds."""
        self.rows.execute("UPDATE hosts_host SET enabled = ? WHERE name IN ('frozen', 'hole')", (on,))
        wait_for(lambda: (self.state("frozen") == "connected") is on, 60, f"the hosts to be enabled: {on}")
        wait_for(lambda: (self.state("hole") == "disabled") is not on, 60, f"the hosts to be enabled: {on}")

    def state(self, name: str) -> str:
        """What the row says."""
        return str(self.rows.execute("SELECT state FROM hosts_host WHERE name = ?", (name,)).fetchone()[0])


def troubled(program: Program, frozen: object, reader: Reader, rounds: int, requests: int) -> tuple[float, float]:
    """Median milliseconds of a page while all hosts answer, and while two hang."""
    troubles, well, ill = Troubles(program), [], []
    for number in range(rounds):
        troubles.enable(False)
        time.sleep(2)
        well += by_turns([reader], requests)[0]
        troubles.enable(True)
        frozen.freeze()  # type: ignore[attr-defined]
        ill += by_turns([reader], requests // 2)[0]
        wait_for(lambda: troubles.state("frozen") != "connected", 60, "the frozen host to be noticed")
        ill += by_turns([reader], requests - requests // 2)[0]
        frozen.thaw()  # type: ignore[attr-defined]
        wait_for(lambda: troubles.state("frozen") == "connected", 120, "the thawed host to come back")
        say(f"round {number + 1}: {statistics.median(well):.1f} ms, two hosts hanging {statistics.median(ill):.1f} ms")
    return statistics.median(well), statistics.median(ill)


def measure(guests: list[int], rounds: int, requests: int) -> list[Figure]:
    with ExitStack() as stack:
        programs = []
        for count in guests:
            host, _uuids = stack.enter_context(host_of(count))
            programs.append(stack.enter_context(dashboard({"kvm1": host.uri})))
            say(f"{count} guests are mirrored")
        readers = [Reader(program) for program in programs]
        by_turns(readers, 5)
        took = by_turns(readers, requests * rounds)
        medians = [statistics.median(times) for times in took]
        frozen, _uuids = stack.enter_context(host_of(10))
        programs[-1].manage("add_host", "frozen", frozen.uri)
        programs[-1].manage("add_host", "hole", stack.enter_context(black_hole()))
        well, ill = troubled(programs[-1], frozen, readers[-1], rounds, requests)
    few, many = guests[0], guests[-1]
    return [
        at_most(f"list page with {many} guests ÷ with {few}, medians", medians[-1] / medians[0], GOAL_TIMES, "×", 2),
        at_most(f"list page with {many} guests, median", medians[-1], GOAL_MS, " ms"),
        fact(f"list page with {few} guests, median", f"{medians[0]:.1f} ms"),
        fact("95 of 100 pages of each", " and ".join(f"{share(times, 0.95):.1f} ms" for times in took)),
        at_most("the same with a black-holed and a frozen host ÷ without", ill / well, GOAL_TROUBLED, "×", 2),
        fact("with a black-holed and a frozen host, median; without", f"{ill:.1f} ms; {well:.1f} ms"),
    ]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--guests", type=int, nargs="+", default=[100, 5000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=60)
    options = parser.parse_args()
    finish(measure(options.guests, options.rounds, options.requests), options)


if __name__ == "__main__":
    main()
