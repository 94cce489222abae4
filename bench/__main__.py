"""`python -m bench [--small] [NAME …]`: every benchmark, each in a process of its own, and one table at the end."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.report import Figure, read, table

#: benchmark → the arguments of a small run, which says whether it works and nothing about kvmdash
BENCHMARKS = {
    "page": ["--guests", "100", "300", "--rounds", "1", "--requests", "10"],
    "mirror": ["--guests", "100", "300", "--runs", "2"],
    "definition": ["--definitions", "100", "--rounds", "3"],
    "push": ["--guests", "100", "--changes", "20"],
    "fanout": ["--sockets", "50", "--changes", "10"],
    "silence": ["--runs", "1"],
    "memory": ["--guests", "10", "--seconds", "5"],
    "migration": ["--runs", "1"],
    "forecast": ["--runs", "1", "--dirty", "8"],
    "evacuation": ["--runs", "1", "--guests", "2"],
    "watching": ["--runs", "1", "--seconds", "3"],
    "creation": ["--runs", "1", "--megabytes", "16"],
    "preflight": ["--guests", "20", "--hosts", "5", "--runs", "2"],
    "upload": ["--megabytes", "64", "--runs", "1"],
    "serial": ["--runs", "1", "--kilobytes", "64"],
    "console": ["--streams", "1", "5", "--consoles", "20", "--seconds", "1", "--runs", "1"],
}


def run(name: str, small: bool, ahead: bool) -> list[Figure]:
    """One benchmark's figures; one that fails is a figure that is missed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "figures.json")
        command = [sys.executable, "-m", f"bench.{name}", "--json", str(file), *(BENCHMARKS[name] if small else [])]
        command += ["--ahead"] if ahead else []
        print(f"\n# {name}", flush=True)
        code = subprocess.run(command, check=False).returncode
        if not file.exists():
            return [Figure(f"{name}: could not be measured", "", f"exit code {code}", False)]
        return [Figure(f"{name}: {figure.name}", figure.goal, figure.measured, figure.held) for figure in read(file)]


def main() -> int:
    """The number of figures that are missed, as the exit code (at most 100)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--small", action="store_true", help="to see whether they work; the figures say nothing")
    parser.add_argument("--ahead", action="store_true", help="before others on a busy machine (SCHED_RR; needs root)")
    options = parser.parse_args()
    names = options.names or list(BENCHMARKS)
    figures = [figure for name in names for figure in run(name, options.small, options.ahead)]
    print("\n" + table(figures))
    return min(100, sum(figure.held is False for figure in figures))


if __name__ == "__main__":
    raise SystemExit(main())
