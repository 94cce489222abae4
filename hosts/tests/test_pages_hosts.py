"""Pages of hosts: who may what, what is refused with which words, and what is never shown."""

from __future__ import annotations

import json
import re
import subprocess
import uuid
from typing import Any

import asyncssh
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from hosts import fragments
from hosts.forms import RESERVED
from hosts.models import AuditEntry, Host, Network, Operation, StoragePool, User
from hosts.tests.pem import Authority, pem_of

pytestmark = pytest.mark.django_db(databases=["default", "metrics"])
HTMX = {"HX-Request": "true"}
PASSWORD = "hunter2-is-secret"


def browser(user: User | None) -> Client:
    client = Client()
    if user is not None:
        client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def make_host(name: str = "kvm1", **columns: Any) -> Host:
    facts: dict[str, Any] = {
        "uri": f"qemu+ssh://root@{name}/system", "state": "connected", "cpus": 8, "memory": 2**34, "memory_used": 2**33,
        "cpu_percent": 12.5, "libvirt_version": "9.0.0", "hypervisor_type": "QEMU", "seen_at": timezone.now(),
        "cells": [{"id": 0, "memory": 2**34, "cpus": 8, "pages": [{"size": 2**21, "count": 16}]}],
    }  # fmt: skip
    return Host.objects.create(name=name, **facts | columns)


def form_of(**changes: Any) -> dict[str, Any]:
    plain = {"name": "kvm9", "way": "parts", "transport": "ssh", "username": "root", "address": "kvm9.example.com"}
    return plain | {"path": "/system"} | changes


def words(response: Any) -> str:
    text: str = response.content.decode()
    return text


@pytest.fixture
def admin(people: dict[str, Any]) -> Client:
    return browser(people["administrator"])


# --- who may what ---

PAGES = (
    "/hosts/", "/hosts/kvm1/", "/hosts/kvm1/guests/", "/hosts/kvm1/storage/", "/hosts/kvm1/networks/",
    "/hosts/kvm1/operations/", "/hosts/kvm1/settings/", "/hosts/storage/", "/hosts/networks/", "/hosts/kvm1/history.json",
)  # fmt: skip


@pytest.mark.parametrize("address", PAGES)
def test_every_role_sees_the_pages_and_a_stranger_the_login(people, address: str) -> None:
    make_host()
    for role in ("administrator", "operator", "viewer"):
        assert browser(people[role]).get(address).status_code == 200
    assert browser(None).get(address).status_code == 302


CHANGES = (
    "/hosts/add/", "/hosts/keys/", "/hosts/kvm1/edit/", "/hosts/kvm1/keys/", "/hosts/kvm1/remove/",
    "/hosts/kvm1/do/refresh/", "/hosts/kvm1/do/test/", "/hosts/kvm1/do/enable/", "/hosts/kvm1/do/disable/",
)  # fmt: skip


@pytest.mark.parametrize("role", ["operator", "viewer"])
@pytest.mark.parametrize("address", CHANGES)
def test_only_administrators_change_hosts(people, role: str, address: str) -> None:
    host = make_host()
    before = Host.objects.values().get(pk=host.pk)
    assert browser(people[role]).post(address, form_of(), headers=HTMX).status_code == 403
    assert Host.objects.values().get() == before
    assert not Operation.objects.exists()


@pytest.mark.parametrize("role", ["operator", "viewer"])
def test_others_than_administrators_are_offered_no_change(people, role: str) -> None:
    make_host()
    client = browser(people[role])
    text = words(client.get("/hosts/")) + words(client.get("/hosts/kvm1/")) + words(client.get("/hosts/kvm1/settings/"))
    for part in ("/hosts/add/", "/edit/", "/remove/", "/do/"):
        assert part not in text
    assert client.get("/hosts/add/").status_code == 403
    assert client.get("/hosts/kvm1/edit/").status_code == 403


def test_reading_an_address_never_changes_anything(admin) -> None:
    make_host()
    for address in ("/hosts/kvm1/do/disable/", "/hosts/kvm1/do/refresh/", "/hosts/keys/"):
        assert admin.get(address).status_code == 405
    admin.get("/hosts/kvm1/remove/")
    assert Host.objects.get().enabled
    assert not Operation.objects.exists()


def test_without_a_csrf_token_nothing_is_changed(people) -> None:
    make_host()
    client = Client(enforce_csrf_checks=True)
    client.force_login(people["administrator"], backend="allauth.account.auth_backends.AuthenticationBackend")
    assert client.post("/hosts/kvm1/do/disable/").status_code == 403
    assert Host.objects.get().enabled


# --- what is shown ---


def test_a_host_shows_facts_cells_and_capacity(people) -> None:
    host = make_host()
    host.vms.create(name="web-1", power_state="running", vcpus=12, memory=2**33)
    text = words(browser(people["viewer"]).get("/hosts/kvm1/"))
    for word in ("9.0.0", "16 GiB", "NUMA", "1.50", "8 GiB", "16 × 2 MiB"):
        assert word in re.sub(r"\s+", " ", text), word


def test_the_tabs_say_how_many_there_are_and_a_push_says_the_same(people) -> None:
    host = make_host()
    host.vms.create(name="web-1")
    page = words(browser(people["viewer"]).get("/hosts/kvm1/"))
    for name in ("guests", "storage", "networks"):
        key = f"host-{name}-count:{host.pk}"
        assert (fragments.render(key, people["viewer"], "en") or "?").strip() in page
    host.vms.create(name="web-2")
    assert ">2<" in (fragments.render(f"host-guests-count:{host.pk}", people["viewer"], "en") or "")


@pytest.mark.parametrize("state", [state for state in Host.State if state != Host.State.CONNECTED])
def test_every_reason_for_not_being_connected_is_told_with_libvirts_words_and_what_to_try(people, state: str) -> None:
    make_host(state=state, state_text="No answer from it.", state_detail="end of file while reading <data>")
    text = words(browser(people["viewer"]).get("/hosts/kvm1/"))
    box = re.search(r'<div id="host-state".*?</details>', text, re.DOTALL)
    assert box is not None
    assert "No answer from it." in box[0]
    assert "end of file while reading &lt;data&gt;" in box[0]
    assert 'class="state-advice"' in box[0]
    assert "Unknown" not in box[0]


def test_guests_of_a_lost_host_are_shown_as_last_seen(people) -> None:
    host = make_host(state="unreachable")
    host.vms.create(name="web-1", power_state="running", seen_at=timezone.now())
    text = words(browser(people["viewer"]).get("/hosts/kvm1/guests/"))
    assert "last seen" in text
    assert "web-1" in text
    assert "is-unseen" in text


def test_pools_and_networks_of_all_hosts_are_listed_and_absent_ones_marked(people) -> None:
    one, two = make_host("kvm1"), make_host("kvm2", state="silent")
    now = timezone.now()
    pool = {"type": "dir", "capacity": 2**40, "allocation": 2**39, "active": True, "seen_at": now}
    StoragePool.objects.create(host=one, name="images", uuid=uuid.uuid4(), absent_since=now, **pool)
    StoragePool.objects.create(host=two, name="fast", uuid=uuid.uuid4(), **pool)
    Network.objects.create(
        host=one, name="default", uuid=uuid.uuid4(), bridge="virbr0", addresses=["10.0.0.1/24"], active=True
    )
    client = browser(people["viewer"])
    text = words(client.get("/hosts/storage/"))
    assert "images" in text
    assert "not there since" in text
    assert "last seen" in text
    assert "512 GiB" in text
    assert "fast" not in words(client.get("/hosts/storage/?host=kvm1&q=ima"))
    assert "virbr0" in words(client.get("/hosts/networks/"))
    assert "virbr0" in words(client.get("/hosts/kvm1/networks/"))


@pytest.mark.parametrize(
    "query",
    [
        "q=%00",
        "page=-1",
        "page=99999999999999",
        "page=x",
        "sort=host__ssh_key",
        "sort=-",
        "host=%00",
        "q=" + "a" * 5000,
    ],
)
@pytest.mark.parametrize("address", ["/hosts/", "/hosts/storage/", "/hosts/networks/", "/hosts/kvm1/guests/"])
def test_hostile_queries_break_nothing(people, address: str, query: str) -> None:
    make_host()
    assert browser(people["viewer"]).get(f"{address}?{query}").status_code in (200, 400)


@pytest.mark.parametrize("name", ["nope", "%00", "..%2f..", "a" * 300, "<script>"])
def test_a_host_that_is_not_there_is_not_found(people, name: str) -> None:
    make_host()
    assert browser(people["viewer"]).get(f"/hosts/{name}/").status_code == 404
    assert browser(people["viewer"]).get("/hosts/kvm1/nonsense/").status_code == 404


def test_what_hosts_say_of_themselves_is_text_and_never_markup(people, admin) -> None:
    evil = "<script>alert(1)</script>\"'>"
    host = make_host(
        state="failed", state_text=evil, state_detail=evil, hostname=evil, cpu_model=evil, description=evil
    )
    StoragePool.objects.create(host=host, name=evil, uuid=uuid.uuid4(), path=evil)
    Network.objects.create(host=host, name=evil, uuid=uuid.uuid4(), bridge=evil, addresses=[evil])
    for address in (*PAGES[:9], "/hosts/kvm1/edit/", "/hosts/kvm1/remove/"):
        assert "<script>alert" not in words(admin.get(address))


@pytest.mark.parametrize("identifier", ["", "x", "0", "99999999999999999999", "1;drop", "١"])
def test_fragments_of_what_is_not_there_are_nothing(people, identifier: str) -> None:
    for name in ("host-row", "host-head", "host-state", "host-facts", "host-load", "host-test"):
        assert fragments.render(f"{name}:{identifier}", people["administrator"], "en") is None


def test_the_pushed_row_is_the_row_of_the_page(people) -> None:
    host = make_host()
    page = words(browser(people["viewer"]).get("/hosts/"))
    pushed = fragments.render(f"host-row:{host.pk}", people["viewer"], "en")
    assert pushed is not None

    def squeezed(text: str) -> str:
        return re.sub(r"\s+", " ", re.sub(r"(<time[^>]*>)[^<]*(</time>)", r"\1\2", text)).strip()

    assert squeezed(pushed) in squeezed(page)


def test_only_administrators_may_watch_connection_tests(people) -> None:
    assert fragments.may_watch(people["administrator"], "host-test:x")
    assert not fragments.may_watch(people["operator"], "host-test:x")


@pytest.mark.parametrize("address", ["/hosts/", "/hosts/storage/", "/hosts/networks/"])
def test_fifty_hosts_cost_as_many_queries_as_two(people, address: str) -> None:
    from django.db import connection

    def add(first: int, last: int) -> None:
        for number in range(first, last):
            host = make_host(f"kvm{number}")
            host.vms.create(name=f"g{number}", power_state="running")
            StoragePool.objects.create(host=host, name="images", uuid=uuid.uuid4())
            Network.objects.create(host=host, name="default", uuid=uuid.uuid4())

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get(address)
        assert not [
            query["sql"] for query in queries if '"ssh_key"' in query["sql"] or '"capabilities"' in query["sql"]
        ]
        return len(queries)

    client = browser(people["viewer"])
    client.get(address)
    add(0, 2)
    few = cost()
    add(2, 50)
    assert cost() <= few


# --- the form ---


def test_parts_become_a_uri(admin) -> None:
    admin.post("/hosts/add/", form_of(port="2222"))
    host = Host.objects.get()
    assert host.uri == "qemu+ssh://root@kvm9.example.com:2222/system"
    assert host.enabled
    admin.post("/hosts/add/", form_of(name="here", transport="local", address="", username=""))
    assert Host.objects.get(name="here").uri == "qemu:///system"


def test_an_ipv6_address_is_put_in_brackets(admin) -> None:
    admin.post("/hosts/add/", form_of(transport="tls", username="", address="2001:db8::1"))
    assert Host.objects.get().uri == "qemu+tls://[2001:db8::1]/system"


HOSTILE_URIS = (
    "", "kvm1", "http://kvm1/", "qemu+ext:///system?command=/bin/sh", "qemu+ssh://root@kvm1/system?command=touch%20/tmp/x",
    "qemu+ssh://root@kvm1/system?netcat=/bin/sh", "qemu+ssh://-oProxyCommand=id/system", "qemu+ssh://root:pw@kvm1/system",
    "qemu+ssh://root@kvm1/system#x", "qemu+ssh://a b/system", "qemu+ssh://root@kvm1/../../etc", "qemu+ssh://kvm1:0x10/system",
    "qemu+ssh://kvm1:99999/system", "xen:///", "qemu+tls:///system", "qemu+ssh://kvm1/system\nqemu:///", "x" * 600,
)  # fmt: skip


@pytest.mark.parametrize("uri", HOSTILE_URIS)
def test_a_uri_that_is_none_or_could_run_a_program_is_refused_with_a_reason(admin, uri: str) -> None:
    answer = admin.post("/hosts/add/", form_of(way="raw", uri=uri))
    assert answer.status_code == 422
    assert 'id="id_uri_error"' in words(answer)
    answer = admin.post("/hosts/add/", form_of(peer_uri=uri or "x"))
    assert answer.status_code == 422
    assert not Host.objects.exists()


@pytest.mark.parametrize(
    "address", ["", "-oProxyCommand=id", "a b", "kvm1/system?command=x", "root@kvm1", "<b>", "kvm1#"]
)
def test_a_hostile_address_is_refused(admin, address: str) -> None:
    answer = admin.post("/hosts/add/", form_of(address=address))
    assert answer.status_code == 422
    assert 'id="id_address_error"' in words(answer)
    assert not Host.objects.exists()


@pytest.mark.parametrize("field", [("port", "0"), ("port", "70000"), ("port", "x"), ("transport", "ext"), ("path", "/etc"),
                                   ("username", "-oX"), ("username", "a b"), ("way", "sideways")])  # fmt: skip
def test_other_parts_are_checked_too(admin, field: tuple[str, str]) -> None:
    assert admin.post("/hosts/add/", form_of(**{field[0]: field[1]})).status_code == 422
    assert not Host.objects.exists()


@pytest.mark.parametrize("name", [*sorted(RESERVED), "ADD", "Storage"])
def test_words_that_are_pages_are_no_names_of_hosts(admin, name: str) -> None:
    answer = admin.post("/hosts/add/", form_of(name=name))
    assert answer.status_code == 422
    assert 'id="id_name_error"' in words(answer)


def test_every_fixed_word_in_the_addresses_is_reserved() -> None:
    from hosts.urls_hosts import hosts_patterns

    fixed = {str(one.pattern).strip("/") for one in hosts_patterns} - {""}
    assert {word for word in fixed if "<" not in word} <= RESERVED


@pytest.mark.parametrize(
    "name", ["", "a/b", "..", "-x", "x-", "a" * 64, "kvm 1", "kvm\x00", "<script>", "kvm1\n", "KVM1"]
)
def test_hostile_and_taken_names_are_refused(admin, name: str) -> None:
    make_host("kvm1")
    answer = admin.post("/hosts/add/", form_of(name=name))
    assert answer.status_code == 422 or Host.objects.filter(name="kvm1").count() == 1
    assert Host.objects.exclude(name="kvm1").count() == (1 if answer.status_code == 302 else 0)


def test_a_certificate_with_its_key_is_stored(admin) -> None:
    authority = Authority("CA")
    certificate, key = authority.issue("client")
    pems = {"tls_ca": authority.pem.replace("\n", "\r\n"), "tls_certificate": certificate, "tls_key": key}
    assert admin.post("/hosts/add/", form_of(transport="tls", **pems)).status_code == 302
    host = Host.objects.get()
    assert host.tls_ca == authority.pem
    assert host.tls_key.open() == key


def bad_pems() -> dict[str, dict[str, str]]:
    authority = Authority("CA")
    certificate, key = authority.issue("client")
    other_key = authority.issue("client")[1]
    old, old_key = authority.issue("client", days=-1)
    sealed = pem_of(ec.generate_private_key(ec.SECP256R1()), b"passphrase")
    return {
        "begins with -----BEGIN CERTIFICATE": {"tls_ca": "nonsense"},
        "private key. It belongs into its own field": {"tls_certificate": certificate + key, "tls_key": key},
        "does not belong to the client certificate": {"tls_certificate": certificate, "tls_key": other_key},
        "expired on": {"tls_certificate": old, "tls_key": old_key},
        "protected by a passphrase": {"tls_certificate": certificate, "tls_key": sealed},
        "needs its key": {"tls_certificate": certificate},
        "begins with -----BEGIN PRIVATE KEY": {"tls_certificate": certificate, "tls_key": "nonsense"},
    }


@pytest.mark.parametrize("sentence", list(bad_pems()))
def test_a_certificate_or_key_that_will_not_work_is_refused_with_the_reason(admin, sentence: str) -> None:
    pems = bad_pems()[sentence]
    answer = admin.post("/hosts/add/", form_of(transport="tls", **pems))
    assert answer.status_code == 422
    assert sentence in words(answer)
    for line in pems.get("tls_key", "").splitlines()[1:-1]:
        assert line not in words(answer)
    assert not Host.objects.exists()


def ssh_key() -> str:
    return asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()


def test_ssh_keys_are_checked_before_they_are_stored(admin, tmp_path) -> None:
    path = tmp_path / "sealed"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "passphrase", "-f", path], check=True)
    sealed = path.read_text()
    public = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    for key, sentence in ((sealed, "passphrase"), (public, "public half"), ("junk", "Not a private ssh key")):
        answer = admin.post("/hosts/add/", form_of(ssh_key=key))
        assert answer.status_code == 422
        assert sentence in words(answer)
    good = ssh_key()
    assert admin.post("/hosts/add/", form_of(ssh_key=good.replace("\n", "\r\n"))).status_code == 302
    assert Host.objects.get().ssh_key.open() == good


def test_secrets_never_come_back_and_never_reach_the_audit_list(admin, people) -> None:
    key = ssh_key()
    body = form_of(ssh_key=key, sasl_username="dash", sasl_password=PASSWORD)
    wrong = admin.post("/hosts/add/", body | {"name": "add"})
    assert wrong.status_code == 422
    admin.post("/hosts/add/", body)
    admin.post("/hosts/kvm9/edit/", body | {"description": "moved"})
    pages = [words(wrong)] + [words(admin.get(f"/hosts/kvm9/{tab}")) for tab in ("", "settings/", "edit/", "remove/")]
    shown = "".join(pages) + json.dumps(list(AuditEntry.objects.values("detail", "subject")))
    shown += json.dumps(list(Operation.objects.values("arguments", "virsh", "progress")))
    for secret in (PASSWORD, *key.splitlines()[1:-1], Host.objects.get().sasl_password.token):
        assert secret not in shown
    assert AuditEntry.objects.filter(action="host.edit").latest("id").detail["changed"] == [
        "description", "sasl_password", "ssh_key",
    ]  # fmt: skip
    assert "stored – leave empty to keep" in words(admin.get("/hosts/kvm9/edit/"))


def test_an_empty_secret_keeps_the_stored_one_and_the_box_removes_it(admin) -> None:
    admin.post("/hosts/add/", form_of(sasl_username="dash", sasl_password=PASSWORD))
    admin.post("/hosts/kvm9/edit/", form_of(sasl_username="dash"))
    assert Host.objects.get().sasl_password.open() == PASSWORD
    admin.post("/hosts/kvm9/edit/", form_of(sasl_username="dash", remove_sasl_password="on"))
    assert not Host.objects.get().sasl_password


def test_an_invalid_form_leaves_the_host_as_it_was(admin) -> None:
    make_host()
    before = Host.objects.values().get()
    answer = admin.post("/hosts/kvm1/edit/", form_of(name="storage", description="x"))
    assert answer.status_code == 422
    assert Host.objects.values().get() == before
    assert "Edit kvm1" in words(answer)


def test_the_form_shows_how_a_host_is_reached_now(admin) -> None:
    make_host("kvm1", uri="qemu+tls://kvm1.example.com:17000/system")
    make_host("kvm2", uri="qemu+tls://kvm2/system?pkipath=/etc/pki")
    assert re.search(r'name="address" value="kvm1.example.com"', words(admin.get("/hosts/kvm1/edit/")))
    assert re.search(r'value="raw" checked', words(admin.get("/hosts/kvm2/edit/")))


def key_line() -> str:
    return " ".join(asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().split()[:2])


def test_ticked_host_keys_are_pinned_and_nonsense_is_not(admin) -> None:
    line = key_line()
    assert admin.post("/hosts/add/", form_of(pin=[line, f"{line} comment"])).status_code == 302
    assert Host.objects.get().ssh_host_key == line
    answer = admin.post("/hosts/kvm9/edit/", form_of(pin=["ssh-ed25519 AAAA\nevil"]))
    assert answer.status_code == 422
    assert Host.objects.get().ssh_host_key == line
    admin.post("/hosts/kvm9/edit/", form_of())
    assert Host.objects.get().ssh_host_key == ""


@pytest.fixture
def sshd():
    from hosts.tests.test_probe import SshServer

    server = SshServer()
    yield server
    server.stop()


def test_fetched_host_keys_are_shown_unticked_until_somebody_confirms_them(admin, sshd) -> None:
    from hosts import probe

    answer = admin.post("/hosts/keys/", form_of(address="127.0.0.1", port=str(sshd.port)), headers=HTMX)
    text = words(answer)
    for line in sshd.lines:
        assert probe.host_key_of(line).fingerprint in text
    assert "checked" not in text
    assert not Host.objects.exists()


def test_a_changed_host_key_is_shown_loudly_old_beside_new(admin, sshd) -> None:
    from hosts import probe

    old = key_line()
    make_host("kvm1", ssh_host_key=old)
    body = form_of(name="kvm1", address="127.0.0.1", port=str(sshd.port), pin=[old])
    text = words(admin.post("/hosts/kvm1/keys/", body, headers=HTMX))
    assert 'role="alert"' in text
    assert "another key than the pinned one" in text
    assert probe.host_key_of(old).fingerprint in text
    assert probe.host_key_of(sshd.lines[0]).fingerprint in text
    assert "CHANGED" in text
    assert Host.objects.get().ssh_host_key == old


def test_keys_that_cannot_be_fetched_are_said_why(admin) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    refused = words(admin.post("/hosts/keys/", form_of(address="127.0.0.1", port=str(port)), headers=HTMX))
    assert "nothing listens there" in refused
    assert "Only hosts reached by ssh" in words(admin.post("/hosts/keys/", form_of(transport="tcp"), headers=HTMX))
    assert "Give a name or an address" in words(admin.post("/hosts/keys/", form_of(address=""), headers=HTMX))


# --- what is done ---


def test_save_and_test_leaves_a_new_host_disabled_and_queues_its_test(admin) -> None:
    answer = admin.post("/hosts/add/", form_of(then="test"))
    host, operation = Host.objects.get(), Operation.objects.get()
    assert not host.enabled
    assert (operation.kind, operation.host, operation.arguments) == ("host-test", host, {"enable": True})
    assert answer.url == f"/hosts/kvm9/settings/?test={operation.pk}#host-test"
    page = words(admin.get(answer.url))
    assert f'data-live="host-test:{operation.pk}"' in page
    for step in ("Name resolves", "Port opens", "Transport", "Authentication", "libvirt answers", "Rights"):
        assert step in page


def test_a_disabled_host_may_be_tested_but_not_refreshed(admin) -> None:
    make_host(enabled=False, state="disabled")
    assert admin.post("/hosts/kvm1/do/refresh/", headers=HTMX).status_code == 409
    assert admin.post("/hosts/kvm1/do/test/", headers=HTMX).status_code == 204
    assert list(Operation.objects.values_list("kind", flat=True)) == ["host-test"]


def test_disabling_and_enabling_is_audited_once_each(admin) -> None:
    make_host()
    for verb in ("disable", "disable", "enable"):
        assert admin.post(f"/hosts/kvm1/do/{verb}/", headers=HTMX).status_code == 204
    assert [entry.action for entry in AuditEntry.objects.order_by("id") if entry.action.startswith("host.")] == [
        "host.disable", "host.enable",
    ]  # fmt: skip
    assert admin.post("/hosts/kvm1/do/explode/", headers=HTMX).status_code == 404


def test_removing_wants_the_name_typed(admin) -> None:
    make_host()
    assert "known by their UUID" in words(admin.get("/hosts/kvm1/remove/"))
    for typed in ("", "kvm2", "KVM1"):
        assert admin.post("/hosts/kvm1/remove/", {"name": typed}).status_code == 422
    assert Host.objects.exists()
    assert admin.post("/hosts/kvm1/remove/", {"name": "kvm1"}).status_code == 302
    assert not Host.objects.exists()
    assert AuditEntry.objects.filter(action="host.remove", subject="kvm1").exists()


def test_changes_are_told_to_those_who_look_after_hosts(admin, django_capture_on_commit_callbacks) -> None:
    from hosts import notify

    heard: list[str] = []
    stop = notify.bus.listen(lambda message: heard.extend(message.get("topics", ())))
    with django_capture_on_commit_callbacks(execute=True):
        admin.post("/hosts/add/", form_of())
    stop()
    host = Host.objects.get()
    assert {"hosts-configured", "hosts", f"host:{host.pk}"} <= set(heard)
