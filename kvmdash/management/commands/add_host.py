"""`manage.py add_host NAME URI`: register a host without the browser."""

from __future__ import annotations

import os
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    """Adds a host, or brings the one of that name up to date."""

    help = "Register a hypervisor host. Secrets are read from files or KVMDASH_SASL_PASSWORD, never from arguments."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("uri")
        parser.add_argument("--peer-uri", default="")
        parser.add_argument("--tls-folder", default="", help="folder with cacert.pem, clientcert.pem, clientkey.pem")
        parser.add_argument("--ssh-key-file", default="")
        parser.add_argument("--ssh-host-key", default="", help="the pinned host key: 'type base64'")
        parser.add_argument("--sasl-username", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        from hosts.registration import Registration, add_host

        names = ("name", "uri", "peer_uri", "tls_folder", "ssh_key_file", "ssh_host_key", "sasl_username")
        password = os.environ.get("KVMDASH_SASL_PASSWORD", "")
        try:
            host = add_host(Registration(**{name: options[name] for name in names}, sasl_password=password))
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        except (ValueError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{host.name} is registered as {host.uri}.")
