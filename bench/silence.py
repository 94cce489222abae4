"""How long a host that hangs goes unnoticed: its libvirtd is stopped (SIGSTOP) and answers nothing, until its row says so.

python -m bench.silence [--runs 10]
"""

from __future__ import annotations

import random
import sqlite3
import time

from bench.report import Figure, arguments, at_most, fact, finish, say
from bench.running import dashboard, host_of, wait_for

GOAL = 6.0


def measure(runs: int) -> list[Figure]:
    """Seconds until 'connected' is no longer claimed, at odd moments of the ticks and keepalives."""
    with host_of(50) as (host, _uuids), dashboard({"kvm1": host.uri}) as program:
        rows = sqlite3.connect(f"file:{program.folder / 'kvmdash.sqlite3'}?mode=ro", uri=True)

        def is_connected() -> bool:
            return bool(rows.execute("SELECT state FROM hosts_host").fetchone()[0] == "connected")

        took = []
        for _ in range(runs):
            time.sleep(random.uniform(3, 6))
            begun = time.monotonic()
            host.freeze()
            while is_connected():
                time.sleep(0.01)
            took.append(time.monotonic() - begun)
            host.thaw()
            say(f"noticed after {took[-1]:.2f} s")
            wait_for(is_connected, 120, "the host to come back")
        rows.close()
    return [
        at_most(f"a host that hangs is noticed, the longest of {runs}", max(took), GOAL, " s", 2),
        fact("the same, median", f"{sorted(took)[len(took) // 2]:.2f} s"),
    ]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--runs", type=int, default=10)
    options = parser.parse_args()
    finish(measure(options.runs), options)


if __name__ == "__main__":
    main()
