"""Rows of a small cluster, as the mirror would have written them, and a client for the API."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from hosts.models import ApiToken, Host, Network, StoragePool, User
from vms.models import Sighting, Tag, VirtualMachine

VM1, VM2, VM3, VM4 = (UUID(int=number) for number in (1, 2, 3, 4))
NOWHERE = UUID(int=99)
DEFINITION = "<domain type='qemu'><name>{name}</name><devices/></domain>"


def make_cluster() -> dict[str, Any]:
    """Two hosts that answer and one that does not; two running guests, one that is off, one on the silent host."""
    hosts = {name: _host(name) for name in ("kvm1", "kvm2")}
    hosts["kvm3"] = _host("kvm3", state=Host.State.UNREACHABLE, state_text="No answer from kvm3.")
    secrets = {"sasl_password": "geheim-sasl", "ssh_key": "geheim-ssh", "tls_key": "geheim-tls"}
    Host.objects.filter(name="kvm1").update(sasl_username="dash", **secrets)
    web = {"tags": ["web", "shop"], "folder": "shop/front", "vcpus": 2, "cpu_percent": 12.5}
    vms = {
        "web1": _vm(VM1, "web1", hosts["kvm1"], "running", addresses=[{"address": "10.0.0.5"}], **web),
        "db1": _vm(VM2, "db1", hosts["kvm1"], "shutoff", vcpus=4, memory=8 << 30, tags=["db"], folder="shop"),
        "web2": _vm(VM3, "web2", hosts["kvm2"], "running", **(web | {"cpu_percent": 80.0, "autostart": True})),
        "old1": _vm(VM4, "old1", hosts["kvm3"], "running", title="Lost"),
    }
    now = timezone.now()
    facts = {"host": hosts["kvm1"], "active": True, "seen_at": now}
    StoragePool.objects.create(name="images", uuid=UUID(int=50), type="dir", path="/images", **facts)
    nat = "<network><name>default</name><forward mode='nat'/><bridge name='virbr0'/></network>"
    Network.objects.create(name="default", uuid=UUID(int=51), bridge="virbr0", forward="nat", definition=nat, **facts)
    return hosts | vms


def _host(name: str, state: str = Host.State.CONNECTED, **facts: Any) -> Host:
    return Host.objects.create(
        name=name,
        uri=f"qemu+tcp://{name}/system",
        state=state,
        cpus=8,
        memory=32 << 30,
        seen_at=timezone.now(),
        **facts,
    )


def _vm(uuid: UUID, name: str, host: Host, state: str, tags: list[str] | None = None, **facts: Any) -> VirtualMachine:
    facts = {
        "memory": 2 << 30,
        "graphics": [{"type": "vnc"}],
        "os_type": "debian/12",
        "seen_at": timezone.now(),
    } | facts
    words = [name, str(uuid), facts.get("folder", ""), host.name, *(tags or []), facts.get("title", "")]
    words += [one["address"] for one in facts.get("addresses", [])]
    vm = VirtualMachine.objects.create(
        uuid=uuid, name=name, host=host, power_state=state, search_text=" ".join(words).lower(), **facts
    )
    vm.tags.set([Tag.objects.get_or_create(name=tag)[0] for tag in tags or []])
    Sighting.objects.create(
        vm=vm, host=host, power_state=state, name=name, seen_at=timezone.now(),
        inactive_definition=DEFINITION.format(name=name),
    )  # fmt: skip
    return vm


class ApiClient:
    """Asks the API as somebody would, with a token of theirs."""

    def __init__(self, user: User | None = None, token: str = "") -> None:
        self.client = Client()
        self.token = token or (ApiToken.issue(user, "test")[1] if user is not None else "")

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def get(self, path: str, **query: Any) -> HttpResponse:
        return self.client.get(f"/api/v1/{path}", query, headers=self.headers)

    def post(self, path: str, body: Any = None, **kwargs: Any) -> HttpResponse:
        """``body`` is sent as JSON; bytes are sent as they are."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        kwargs = {"content_type": "application/json", "headers": self.headers} | kwargs
        return self.client.post(f"/api/v1/{path}", data, **kwargs)
