"""The API's text consoles: which there are, their tickets and their logs."""

from __future__ import annotations

import json

import pytest

from kvmdash.tests.cluster import ApiClient
from vms.console.serial import journal
from vms.models import VirtualMachine
from vms.tests.console.texts import SERIAL
from vms.tests.making import make_guest, make_host

pytestmark = pytest.mark.django_db


@pytest.fixture
def guest(db: None) -> VirtualMachine:
    vm = make_guest(make_host(), "web-1")
    vm.sightings.update(live_definition=SERIAL)
    return vm


def test_the_api_tells_the_text_consoles_and_gives_ticket_and_log(people, guest) -> None:
    api = {role: ApiClient(people[role]) for role in people}
    told = api["viewer"].get(f"vms/{guest.uuid}/serial").json()
    assert [(one["device"], one["kind"], one["openable"]) for one in told] == [
        ("serial0", "serial", True), ("serial1", "serial", False), ("console1", "virtio", True),
    ]  # fmt: skip
    answer = api["operator"].post(f"vms/{guest.uuid}/console", {"device": "serial0"})
    assert f"&line={guest.uuid}" in answer.json()["url"]
    assert api["operator"].post(f"vms/{guest.uuid}/console", {"device": "serial1"}).status_code == 409
    assert api["operator"].post(f"vms/{guest.uuid}/console/log", {"device": "serial0"}).status_code == 404
    journal.append(guest.uuid, "serial0", b"\x1b[1mboot\xff\r\n")
    answer = api["operator"].post(f"vms/{guest.uuid}/console/log", {"device": "serial0"})
    assert json.loads(answer.content)["text"] == "boot�\n"
    raw = api["viewer-watching"].post(f"vms/{guest.uuid}/console/log", {"device": "serial0", "raw": True})
    assert raw.json()["text"].encode("latin-1") == b"\x1b[1mboot\xff\r\n"
    assert api["viewer"].post(f"vms/{guest.uuid}/console/log", {"device": "serial0"}).status_code == 403
