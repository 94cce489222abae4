"""`python3 -m lab ...`: see README.md."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable

from lab.commands import say
from lab.errors import LabError, UnsupportedError
from lab.install import install
from lab.lab import Lab

Action = Callable[[Lab, argparse.Namespace], int]


def up(lab: Lab, arguments: argparse.Namespace) -> int:
    """Bring the lab up."""
    facts = lab.up(arguments.hosts, arguments.guests, arguments.sasl, arguments.no_peer)
    if arguments.json:
        print(json.dumps(facts, indent=2))
    return 0


def status(lab: Lab, arguments: argparse.Namespace) -> int:
    """Say what is up."""
    seen = lab.status()
    if arguments.json:
        print(json.dumps(seen, indent=2))
        return 0
    print(f"lab {seen['name']} in {seen['directory']}")
    for name, host in seen["hosts"].items():
        power = "plugged in" if host["power"] else "unplugged"
        link = "link up" if host["link"] else "link cut"
        print(f"{name}: {power}, {link}, libvirtd {host['libvirtd']}, {host['uri']}")
        for guest, state in host["guests"].items():
            print(f"    {guest}: {state}")
    return 0


def pass_through(command: list[str]) -> int:
    """Run a program on the caller's own terminal and take over its exit code."""
    return subprocess.run(command, check=False).returncode


def virsh(lab: Lab, arguments: argparse.Namespace) -> int:
    """virsh inside a host."""
    return pass_through(lab.host(arguments.host).inside(["virsh", "-c", "qemu:///system", *arguments.arguments]))


def execute(lab: Lab, arguments: argparse.Namespace) -> int:
    """Any program inside a host."""
    return pass_through(lab.host(arguments.host).inside(arguments.arguments))


def on_host(method: Callable[[Lab, str], None]) -> Action:
    """A command that is one call with a host's name."""

    def action(lab: Lab, arguments: argparse.Namespace) -> int:
        method(lab, arguments.host)
        return 0

    return action


def down(lab: Lab, _: argparse.Namespace) -> int:
    """Take the lab down."""
    lab.down()
    return 0


def throttle(lab: Lab, arguments: argparse.Namespace) -> int:
    """Limit a host's link."""
    lab.throttle(arguments.host, arguments.rate)
    return 0


def install_only(_: Lab, __: argparse.Namespace) -> int:
    """Install what the lab needs."""
    install()
    return 0


HOST_COMMANDS: dict[str, tuple[str, Action]] = {
    "cut": ("pull a host's network cable", on_host(Lab.cut)),
    "join": ("put the cable back", on_host(Lab.join)),
    "unplug": ("cut a host's power: libvirtd and all guests die at once", on_host(Lab.unplug)),
    "plug": ("boot the host again", on_host(Lab.plug)),
    "freeze": ("stop libvirtd in its tracks", on_host(Lab.freeze)),
    "thaw": ("let libvirtd go on", on_host(Lab.thaw)),
    "restart": ("restart libvirtd; guests keep running", on_host(Lab.restart)),
    "kill": ("kill -9 libvirtd; guests keep running", on_host(Lab.kill)),
    "unthrottle": ("remove a limit on a host's link", on_host(Lab.unthrottle)),
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    main_parser = argparse.ArgumentParser(prog="python3 -m lab", description="A cluster of KVM hosts on one machine.")
    commands = main_parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, text: str, action: Action, host: bool = False) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.add_argument("--name", default="lab", help="which lab (default: lab)")
        if host:
            made.add_argument("host", metavar="HOST")
        made.set_defaults(action=action)
        return made

    command("install", "install and download what the lab needs", install_only)
    bring = command("up", "bring up the lab, or what is missing of it", up)
    bring.add_argument("--hosts", type=int, default=3)
    bring.add_argument("--guests", type=int, default=6)
    bring.add_argument("--json", action="store_true", help="print lab.json")
    bring.add_argument("--sasl", action="store_true", help="kvm1's tcp port asks for a user and a password")
    bring.add_argument(
        "--no-peer",
        nargs="?",
        const="drop",
        default="",
        choices=["drop", "reject"],
        help="no host reaches another one's libvirtd: packets are dropped (default) or rejected",
    )
    command("down", "take the lab down", down)
    command("status", "say what is up", status).add_argument("--json", action="store_true")
    for name, (text, action) in HOST_COMMANDS.items():
        command(name, text, action, host=True)
    command("throttle", "limit a host's link, e.g. 50mbit", throttle, host=True).add_argument("rate", metavar="RATE")
    for name, text, action in (
        ("virsh", "run virsh inside a host", virsh),
        ("exec", "run a program inside a host", execute),
    ):
        command(name, text, action, host=True).add_argument("arguments", nargs=argparse.REMAINDER, metavar="...")
    return main_parser


def interrupt(*_: object) -> None:
    """SIGTERM cleans up just as Ctrl-C does."""
    raise KeyboardInterrupt


def main() -> int:
    """Run one command; 1 for an error, 3 for what this machine cannot do, 130 when interrupted."""
    arguments = parser().parse_args()
    signal.signal(signal.SIGTERM, interrupt)
    try:
        if os.geteuid() != 0:
            raise LabError("the lab needs root: it makes namespaces and network devices")
        action: Action = arguments.action
        return action(Lab(arguments.name), arguments)
    except UnsupportedError as error:
        say(f"lab: {error}")
        return 3
    except LabError as error:
        say(f"lab: {error}")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
