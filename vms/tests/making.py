"""Rows for tests of pages: guests that nobody mirrors, and browsers that are logged in."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

from django.test import Client
from django.utils import timezone

from hosts.models import Host, User
from vms.inventory import search_text
from vms.models import Sighting, Tag, VirtualMachine

#: UUIDs of digits alone: a random one may hold the very letters that a test searches for
NUMBERS = itertools.count(1)

XML = """<domain type='kvm' id='3'>
  <name>{name}</name>
  <!-- a <comment> & more -->
  <title>{title}</title>
  <cpu mode='host-model' check='partial'/>
  <devices><graphics type='vnc' port='{port}' autoport='yes'/></devices>
</domain>
"""


def make_host(name: str = "kvm1", state: str = "connected", **columns: Any) -> Host:
    facts = {"arch": "x86_64", "memory": 2**34, "memory_used": 2**33, "cpu_model": "EPYC", "seen_at": timezone.now()}
    return Host.objects.create(name=name, uri=f"qemu+tcp://{name}/system", state=state, **facts | columns)


def make_guest(host: Host | None, name: str = "web-1", tags: tuple[str, ...] = (), **columns: Any) -> VirtualMachine:
    facts: dict[str, Any] = {
        "uuid": uuid.UUID(f"{next(NUMBERS):032d}"),
        "power_state": "running",
        "arch": "x86_64",
        "memory": 2**28,
        "vcpus": 2,
        "seen_at": timezone.now(),
        "graphics": [{"type": "vnc", "port": 5900, "listen": "127.0.0.1", "listen_type": "address", "websocket": -1}],
        "nics": [{"type": "network", "mac": "52:54:00:00:00:01", "source": "default", "model": "virtio", "target": "",
                  "link": "up"}],
        "disks": [{"device": "disk", "type": "file", "target": "vda", "bus": "virtio", "format": "qcow2",
                   "cache": "", "source": "/images/a.qcow2", "readonly": False, "shareable": False}],
        "devices": [{"kind": "rng", "model": "virtio", "text": ""}, {"kind": "flux", "model": "", "text": "x"}],
        "addresses": [{"mac": "52:54:00:00:00:01", "address": "10.0.0.7", "prefix": 24, "source": "agent"}],
    }  # fmt: skip
    vm = VirtualMachine.objects.create(name=name, host=host, **facts | columns)
    vm.tags.set([Tag.objects.get_or_create(name=tag)[0] for tag in tags])
    vm.search_text = search_text(vm, list(tags))
    vm.save()
    if host is not None:
        sighted(vm, host, vm.power_state)
    return vm


def sighted(vm: VirtualMachine, host: Host, state: str, **columns: Any) -> Sighting:
    live = XML.format(name="a", title="&lt;script&gt;", port=5900)
    inactive = XML.format(name="a", title="&lt;script&gt;", port=-1).replace("host-model", "custom")
    facts = {"name": vm.name, "live_definition": live, "inactive_definition": inactive, "seen_at": timezone.now()}
    return Sighting.objects.create(vm=vm, host=host, power_state=state, **facts | columns)


def browser(user: User | None) -> Client:
    client = Client()
    if user is not None:
        client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


#: what htmx sends
HTMX = {"HX-Request": "true"}
