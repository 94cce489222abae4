"""Memory of `manage.py up` with three hosts: proportional set size of the whole process tree, the console gateway included.

python -m bench.memory [--guests 100] [--seconds 60]
"""

from __future__ import annotations

import time
import urllib.request
from contextlib import ExitStack

from bench.report import Figure, arguments, at_most, fact, finish, say
from bench.running import command_of, cookies_of, dashboard, host_of, resident, tree_of

GOAL = 250.0
HOSTS = 3
PAGES = ("/", "/vms/", "/hosts/", "/operations/", "/hosts/storage/", "/administration/audit/")


def measure(guests: int, seconds: float) -> list[Figure]:
    """After pages were looked at and figures taken for a while."""
    with ExitStack() as stack:
        hosts = [stack.enter_context(host_of(guests))[0] for _ in range(HOSTS)]
        program = stack.enter_context(dashboard({f"kvm{n}": host.uri for n, host in enumerate(hosts, 1)}))
        say(f"{HOSTS} hosts with {guests} guests each are connected; looking at pages for {seconds:g} s")
        until = time.monotonic() + seconds
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies_of(program).items())}
        while time.monotonic() < until:
            for path in PAGES:
                asked = urllib.request.Request(program.url + path, headers=headers)
                with urllib.request.urlopen(asked, timeout=30) as answer:
                    assert answer.status == 200 and answer.url == program.url + path, answer.url
            program.get("vms?page_size=200")
            time.sleep(0.5)
        assert program.process is not None
        each = {pid: resident(pid) for pid in tree_of(program.process.pid)}
        for pid, size in each.items():
            say(f"{size:7.1f} MB  {command_of(pid)}")
    parts = " + ".join(f"{size:.0f}" for size in each.values())
    return [
        at_most(f"memory of `manage.py up`, {HOSTS} hosts with {guests} guests each", sum(each.values()), GOAL, " MB"),
        fact("its processes (server with all roles, console gateway)", f"{parts} MB"),
    ]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--guests", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    finish(measure(options.guests, options.seconds), options)


if __name__ == "__main__":
    main()
