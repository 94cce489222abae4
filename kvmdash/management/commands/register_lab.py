"""`manage.py register_lab lab.json`: register the hosts of a lab, as its description file tells them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    """Adds or updates each host of the file."""

    help = "Register the hosts that a lab's lab.json describes."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        from hosts.registration import Registration, add_host

        for name, facts in json.loads(options["file"].read_text())["hosts"].items():
            ssh, sasl = facts.get("ssh", {}), facts.get("sasl") or {}
            add_host(
                Registration(
                    name=name,
                    uri=facts["uri"],
                    peer_uri=facts.get("peer_uri", ""),
                    tls_folder=facts.get("tls", {}).get("pkipath", ""),
                    ssh_key_file=ssh.get("keyfile", ""),
                    ssh_host_key=ssh.get("host_key", ""),
                    sasl_username=sasl.get("username", ""),
                    sasl_password=sasl.get("password", ""),
                )
            )
            self.stdout.write(f"{name} is registered.")
