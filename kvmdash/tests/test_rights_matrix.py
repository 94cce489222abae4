"""Role × verb × road: what each role may do, asked of the gate and of every road that leads through it.

Built from the verbs, kinds and fragments that are registered. A new verb that is not in :data:`LEAST` fails the first test:
whoever adds one says here who may.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client
from django.urls import NoReverseMatch, reverse

from hosts import access, fragments
from hosts.audit import Actor
from hosts.models import ApiToken, AuditEntry, Operation, User
from hosts.operations import queue
from hosts.operations.host_refresh import HostKind
from hosts.operations.kind import registry
from hosts.urls import administration_patterns
from kvmdash.tests.cluster import VM1, VM3, ApiClient, make_cluster
from kvmdash.tests.verbs import ARGUMENTS, DEFINE, ready_for
from vms.forms import FORMS
from vms.models import ConsoleTicket
from vms.operations.base import GuestKind

ROLES = ("viewer", "viewer-watching", "operator", "administrator")
OUTSIDERS = ("nobody", "disabled")

#: verb → the least role that may: what is meant, against which all that is built is held
LEAST = {
    "alarm.view": "viewer",
    "audit.view": "administrator",
    "filter.define": "administrator",
    "filter.delete": "administrator",
    "filter.edit": "administrator",
    "host.maintenance": "operator",
    "host.manage": "administrator",
    "host.refresh": "administrator",
    "host.test": "administrator",
    "host.view": "viewer",
    "network.autostart": "administrator",
    "network.define": "administrator",
    "network.delete": "administrator",
    "network.edit": "administrator",
    "network.start": "administrator",
    "network.stop": "administrator",
    "network.update": "administrator",
    "operation.view": "viewer",
    "people.manage": "administrator",
    "pool.autostart": "administrator",
    "pool.define": "administrator",
    "pool.delete": "administrator",
    "pool.find": "administrator",
    "pool.manage": "administrator",
    "pool.refresh": "operator",
    "pool.start": "administrator",
    "pool.stop": "administrator",
    "systems.manage": "administrator",
    "token.own": "viewer",
    "volume.clone": "operator",
    "volume.create": "operator",
    "volume.delete": "operator",
    "volume.download": "operator",
    "volume.fetch": "operator",
    "volume.read_ova": "operator",
    "volume.resize": "operator",
    "volume.upload": "operator",
    "volume.wipe": "operator",
    "vm.autostart": "operator",
    "vm.block_copy": "operator",
    "vm.block_resize": "operator",
    "vm.console": "operator",
    "vm.console_view": "viewer-watching",
    "vm.create": "operator",
    "vm.define": "administrator",
    "vm.destroy": "operator",
    "vm.forget": "operator",
    "vm.hardware": "operator",
    "vm.fs_freeze": "operator",
    "vm.fs_trim": "operator",
    "vm.guest_info": "operator",
    "vm.managed_save": "operator",
    "vm.managed_save_remove": "operator",
    "vm.migrate": "operator",
    "vm.plan": "operator",
    "vm.protect": "operator",
    "vm.reboot": "operator",
    "vm.reset": "operator",
    "vm.restart": "operator",
    "vm.resume": "operator",
    "vm.set_metadata": "operator",
    "vm.set_user_password": "operator",
    "vm.shutdown": "operator",
    "vm.snapshot": "operator",
    "vm.snapshot_delete": "operator",
    "vm.snapshot_revert": "operator",
    "vm.snapshot_schedule": "operator",
    "vm.start": "operator",
    "vm.suspend": "operator",
    "vm.template": "operator",
    "vm.undefine": "operator",
    "vm.view": "viewer",
}
GUEST_KINDS = sorted(name for name, kind in registry.items() if isinstance(kind, GuestKind))
HOST_KINDS = sorted(name for name, kind in registry.items() if isinstance(kind, HostKind))
#: what the forms send
FIELDS: dict[str, Any] = {
    "block-copy": ARGUMENTS["block-copy"],
    "block-resize": {"target": "vda", "capacity": "2 GiB"},
    "define": DEFINE,
    "fs-freeze": {"seconds": "5"},
    "migrate": {"host": "kvm2"},
    "set-metadata": {"title": "t", "folder": "f"},
    "set-user-password": ARGUMENTS["set-user-password"],
    "shutdown": {"wait": "60"},
    "autostart": {"enabled": "true"},
    "snapshot-create": {"name": "new", "where": "internal", "memory": "on"},
    "snapshot-delete": {"name": "old", "confirm": "old"},
    "snapshot-describe": {"name": "old", "description": "d"},
    "snapshot-revert": {"name": "old", "confirm": "old"},
    "protect": {"enabled": "true"},
    "template": {"enabled": "false"},
    "undefine": {"confirm": "web1", "force": "on"},
    "boot-order": {"how": "devices", "disks[sda]": "1"},
    "restart": {"wait": "60"},
    "device-add": {"type": "watchdog", "model": "i6300esb", "action": "reset"},
    "device-change": {"device": "disks[sda]", "target.bus": "scsi"},
    "device-remove": {"device": "disks[sda]"},
    "media": {"device": "disks[sda]", "source": ""},
    "memory": {"memory": "64 MiB", "maximum": "64 MiB"},
    "vcpus": {"count": "1", "maximum": "1"},
}


def meant(role: str, verb: str) -> bool:
    """Whether the role is meant to."""
    return role in ROLES and ROLES.index(role) >= ROLES.index(LEAST[verb])


@pytest.fixture
def everybody(people: dict[str, Any]) -> dict[str, Any]:
    """One of each role, an administrator who was disabled, and somebody who is not logged in."""
    disabled = User.objects.create_user("disabled", password="quite-long-enough", role="administrator", is_active=False)
    return people | {"disabled": disabled, "nobody": AnonymousUser()}


@pytest.fixture
def cluster(db: None) -> dict[str, Any]:
    cache.clear()  # No case is held up for the wrong tokens of those before.
    return make_cluster()


def page_of(user: Any) -> Client:
    """A browser; nobody and the disabled one are not logged in, as the latter cannot be."""
    client = Client(headers={"HX-Request": "true"})
    if isinstance(user, User):
        client.force_login(user)
    return client


def asked_for(name: str) -> bool:
    """Whether an operation of the kind waits (a bulk one counts by its children)."""
    return Operation.objects.filter(kind=name, state=Operation.State.QUEUED).exists()


# --- the gate


def test_every_verb_says_here_who_may() -> None:
    assert set(access.VERBS) == set(LEAST), "say in LEAST who may do the new verb"
    assert {kind.verb for kind in registry.values()} <= set(LEAST)
    assert {fragment.verb for fragment in fragments.registry.values()} <= set(LEAST)
    assert set(access.VIEW_VERBS.values()) <= set(LEAST)


@pytest.mark.parametrize("role", [*ROLES, *OUTSIDERS])
@pytest.mark.parametrize("verb", sorted(LEAST))
def test_the_gate_lets_through_who_is_meant_to(everybody: dict[str, Any], verb: str, role: str) -> None:
    assert access.may(everybody[role], verb) is meant(role, verb)
    assert access.rights_of(everybody[role])[verb.replace(".", "_")] is meant(role, verb)


@pytest.mark.parametrize("role", [*ROLES, *OUTSIDERS])
def test_what_has_no_name_is_denied_to_all(everybody: dict[str, Any], role: str) -> None:
    assert not access.may(everybody[role], "vm.explode")
    assert not access.may(everybody[role], "")


@pytest.mark.parametrize("role", [*ROLES, *OUTSIDERS])
def test_rows_are_seen_by_those_who_may_view_them(everybody: dict[str, Any], cluster: Any, role: str) -> None:
    from django.apps import apps

    for label, verb in access.VIEW_VERBS.items():
        rows = apps.get_model(label)._default_manager.all()
        seen = access.visible_to(everybody[role], rows)
        assert seen.count() == (rows.count() if meant(role, verb) else 0), label


@pytest.mark.parametrize("role", ROLES)
def test_tokens_are_seen_through_no_list(everybody: dict[str, Any], role: str) -> None:
    ApiToken.issue(everybody[role], "mine")
    assert not access.visible_to(everybody[role], ApiToken.objects.all()).exists()


# --- pages and the API


def by_page(user: Any, name: str) -> HttpResponse:
    return page_of(user).post(reverse("vms:act", args=[VM1, name]), FIELDS.get(name, {}))


def by_bulk_page(user: Any, name: str) -> HttpResponse:
    sent = {"kind": name, "ids": [str(VM1), str(VM3)], "confirm": "2", **FIELDS.get(name, {})}
    return page_of(user).post(reverse("vms:bulk"), sent)


def by_api(user: Any, name: str) -> HttpResponse:
    return _client(user).post(f"vms/{VM1}/{name}", ARGUMENTS.get(name))


def by_bulk_api(user: Any, name: str) -> HttpResponse:
    body = {"verb": name, "uuids": [str(VM1), str(VM3)], "arguments": ARGUMENTS.get(name, {})}
    return _client(user).post("vms/bulk", body)


def by_session_api(user: Any, name: str) -> HttpResponse:
    body = ARGUMENTS.get(name, {})
    return page_of(user).post(f"/api/v1/vms/{VM1}/{name}", body, content_type="application/json")


def by_host_api(user: Any, name: str) -> HttpResponse:
    return _client(user).post(f"hosts/kvm1/{name.removeprefix('host-')}")


def by_host_page(user: Any, name: str) -> HttpResponse:
    return page_of(user).post(reverse("hosts:act", args=["kvm1", name.removeprefix("host-")]))


def _client(user: Any) -> ApiClient:
    return ApiClient(user if isinstance(user, User) else None)


Road = Callable[[Any, str], HttpResponse]
GUEST_ROADS: tuple[Road, ...] = (by_page, by_bulk_page, by_api, by_bulk_api, by_session_api)
#: what is asked of one at a time has its own tests
BULK_ROADS: tuple[Road, ...] = (by_bulk_page, by_bulk_api)
HOST_ROADS: tuple[Road, ...] = (by_host_page, by_host_api)
#: kinds on something that a guest has many of: no page asks them of many guests
OF_A_PART = {name for name, form in FORMS.items() if form.asked_by_address}
CHANGES = [
    (name, road)
    for name in GUEST_KINDS
    for road in GUEST_ROADS
    if not (name in OF_A_PART and road is by_bulk_page) and (registry[name].many or road not in BULK_ROADS)
]
CHANGES += [(name, road) for name in HOST_KINDS for road in HOST_ROADS]


@pytest.mark.parametrize("role", [*ROLES, *OUTSIDERS])
@pytest.mark.parametrize(("name", "road"), CHANGES, ids=lambda value: getattr(value, "__name__", value))
def test_a_change_is_asked_for_by_those_who_may_on_every_road(
    everybody: dict[str, Any], cluster: Any, role: str, name: str, road: Road
) -> None:
    ready_for(name)
    user = everybody[role]
    status = road(user, name).status_code
    if meant(role, registry[name].verb):
        assert (status, asked_for(name)) in {(202, True), (204, True)}
        return
    assert status == (401 if role in OUTSIDERS else 403)
    assert not Operation.objects.exists()


@pytest.mark.parametrize("name", GUEST_KINDS)
def test_who_tries_without_the_right_is_in_the_audit_list(everybody: dict[str, Any], cluster: Any, name: str) -> None:
    ready_for(name)
    for road in (by_page, by_api, by_bulk_api):
        road(everybody["viewer"], name)
    tried = AuditEntry.objects.filter(action=registry[name].verb, actor_name="viewer", result="refused")
    assert list(tried.order_by("id").values_list("road", flat=True)) == ["page", "api", "api"]


@pytest.mark.parametrize("role", [*ROLES, *OUTSIDERS])
@pytest.mark.parametrize("road", ["page", "api"])
def test_an_operation_is_cancelled_by_those_who_may_ask_for_it(
    everybody: dict[str, Any], cluster: dict[str, Any], role: str, road: str
) -> None:
    operation = queue.enqueue("shutdown", cluster["web1"], {}, Actor(everybody["administrator"]))
    user = everybody[role]
    if road == "page":
        status = page_of(user).post(reverse("operations:cancel", args=[operation.pk])).status_code
    else:
        status = _client(user).post(f"operations/{operation.pk}/cancel").status_code
    operation.refresh_from_db()
    assert (operation.state == Operation.State.CANCELLED) is meant(role, "vm.shutdown")
    if not meant(role, "vm.shutdown"):
        assert status == (401 if role in OUTSIDERS else 403)


# --- pages

#: page → the verb it is meant for, where that is more than looking at the cluster
PAGES = {
    "administration:users": "people.manage",
    "administration:user_add": "people.manage",
    "administration:user_edit": "people.manage",
    "administration:user_password": "people.manage",
    "administration:user_disable": "people.manage",
    "administration:user_enable": "people.manage",
    "administration:user_second_factor": "people.manage",
    "administration:audit": "audit.view",
    "administration:tokens": "token.own",
    "administration:token_revoke": "token.own",
    "hosts:add": "host.manage",
    "vms:systems": "systems.manage",
    "hosts:host_keys_new": "host.manage",
    "hosts:edit": "host.manage",
    "hosts:host_keys": "host.manage",
    "hosts:remove": "host.manage",
}
#: taken with POST alone
POSTED = {"hosts:host_keys_new", "hosts:host_keys"}


def test_every_page_of_administration_says_here_whom_it_is_for() -> None:
    names = {f"administration:{pattern.name}" for pattern in administration_patterns}
    assert names <= set(PAGES), "say in PAGES whom the new page is for"


@pytest.mark.parametrize("role", [*ROLES, *OUTSIDERS])
@pytest.mark.parametrize("page", sorted(PAGES))
def test_a_page_is_shown_to_those_it_is_for(everybody: dict[str, Any], cluster: Any, page: str, role: str) -> None:
    client = page_of(everybody[role])
    status = (client.post if page in POSTED else client.get)(_address(page, everybody)).status_code
    if meant(role, PAGES[page]):
        assert status in (200, 404, 405)
    else:
        assert status == (401 if role in OUTSIDERS else 403)


def _address(page: str, everybody: dict[str, Any]) -> str:
    arguments = ([], ["kvm1"], [everybody["viewer"].pk])
    for one in arguments:
        try:
            return reverse(page, args=one)
        except NoReverseMatch:
            continue
    raise AssertionError(f"{page} wants other arguments")


# --- consoles


@pytest.mark.parametrize("role", [*ROLES, *OUTSIDERS])
@pytest.mark.parametrize("road", ["page", "api"])
def test_a_console_is_opened_by_those_who_may_and_only_watched_by_those_who_may_only_watch(
    everybody: dict[str, Any], cluster: Any, role: str, road: str
) -> None:
    user = everybody[role]
    if road == "page":
        answer = page_of(user).post(reverse("vms:console-ticket", args=[VM1]))
    else:
        answer = _client(user).post(f"vms/{VM1}/console")
    if not meant(role, "vm.console_view"):
        assert answer.status_code == (401 if role in OUTSIDERS else 403)
        assert not ConsoleTicket.objects.exists()
        return
    assert answer.status_code == 200
    ticket = ConsoleTicket.objects.get()
    assert (ticket.user, ticket.vm_id) == (user, VM1)
    assert answer.json()["view_only"] is ticket.view_only is not meant(role, "vm.console")


@pytest.mark.parametrize("role", [*ROLES, *OUTSIDERS])
@pytest.mark.parametrize("view_only", [True, False])
def test_a_console_with_a_keyboard_is_not_had_by_asking_for_it(
    everybody: dict[str, Any], cluster: Any, role: str, view_only: bool
) -> None:
    status = _client(everybody[role]).post(f"vms/{VM1}/console", {"view_only": view_only}).status_code
    if meant(role, "vm.console_view" if view_only else "vm.console"):
        assert (status, ConsoleTicket.objects.get().view_only) == (200, view_only)
        return
    assert status == (401 if role in OUTSIDERS else 403)
    assert not ConsoleTicket.objects.exists()


# --- pushes


@pytest.mark.parametrize("role", [*ROLES, *OUTSIDERS])
@pytest.mark.parametrize("name", sorted(fragments.registry))
def test_a_piece_is_pushed_to_those_who_may_see_it(everybody: dict[str, Any], name: str, role: str) -> None:
    verb = fragments.registry[name].verb
    assert fragments.may_watch(everybody[role], f"{name}:{VM1}") is meant(role, verb)


@pytest.mark.parametrize("role", [*ROLES, *OUTSIDERS])
def test_figures_are_pushed_to_those_who_may_see_what_they_are_of(everybody: dict[str, Any], role: str) -> None:
    assert fragments.may_watch(everybody[role], f"figures:vm:{VM1}") is meant(role, "vm.view")
    assert fragments.may_watch(everybody[role], "figures:host:1") is meant(role, "host.view")
    for key in ("figures:user:1", "figures:", "nothing:1", "", ":", "figures"):
        assert not fragments.may_watch(everybody[role], key)


@pytest.mark.parametrize("verb", sorted(LEAST))
def test_people_of_one_right_class_have_the_same_rights(everybody: dict[str, Any], verb: str) -> None:
    rights: dict[str, set[bool]] = {}
    for user in everybody.values():
        rights.setdefault(access.right_class(user), set()).add(access.may(user, verb))
    assert all(len(answers) == 1 for answers in rights.values())
