"""Changing guests from their pages: one, or many at once."""

from __future__ import annotations

import json
import uuid

import pytest
from django.test import Client

from hosts.models import AuditEntry, Operation, OperationSignal
from vms.models import VirtualMachine
from vms.moving.wanted import DEFAULTS
from vms.tests.making import HTMX, browser, make_guest, make_host

pytestmark = pytest.mark.django_db


@pytest.fixture
def guest(db: None) -> VirtualMachine:
    return make_guest(make_host(), tags=("prod",))


@pytest.fixture
def target(db: None):
    return make_host("kvm2")


def act(client: Client, vm: VirtualMachine, kind: str, **data: str):
    return client.post(f"/vms/{vm.uuid}/do/{kind}/", data, headers=HTMX)


def toast_of(answer) -> dict[str, str]:
    return json.loads(answer["HX-Trigger"])["toast"]


def test_a_verb_queues_an_operation_and_answers_with_a_link_to_it(people, guest) -> None:
    answer = act(browser(people["operator"]), guest, "reboot")
    operation = Operation.objects.get()
    assert answer.status_code == 204
    assert toast_of(answer)["url"] == operation.get_absolute_url()
    assert (operation.kind, operation.actor_name, operation.address) == ("reboot", "operator", "127.0.0.1")
    assert operation.virsh == "virsh reboot web-1"


def test_a_plain_form_is_sent_on_to_the_operation(people, guest) -> None:
    answer = browser(people["operator"]).post(f"/vms/{guest.uuid}/do/suspend/")
    assert (answer.status_code, answer.url) == (302, Operation.objects.get().get_absolute_url())


@pytest.mark.parametrize("kind", ["start", "destroy", "migrate", "set-metadata", "autostart"])
def test_viewers_are_denied_every_verb_and_it_is_on_record(people, guest, target, kind: str) -> None:
    answer = act(browser(people["viewer"]), guest, kind, host="kvm2", title="x")
    assert answer.status_code == 403
    assert answer["Content-Type"].startswith("text/plain")
    assert not Operation.objects.exists()
    assert AuditEntry.objects.filter(actor=people["viewer"], result="refused").exists()


def test_strangers_change_nothing(guest) -> None:
    assert act(browser(None), guest, "destroy").status_code == 401
    assert not Operation.objects.exists()


def test_without_the_token_of_the_form_nothing_is_done(people, guest) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(people["operator"], backend="allauth.account.auth_backends.AuthenticationBackend")
    assert act(client, guest, "destroy").status_code == 403
    assert not Operation.objects.exists()


def test_what_the_state_does_not_allow_is_refused_with_the_reason(people, guest) -> None:
    answer = act(browser(people["operator"]), guest, "start")
    assert answer.status_code == 409
    assert "running" in answer.content.decode()
    plain = browser(people["operator"]).post(f"/vms/{guest.uuid}/do/start/")
    assert plain.status_code == 409
    assert "running" in plain.content.decode()


def test_the_second_of_two_people_is_told_who_was_first(people, guest) -> None:
    assert act(browser(people["administrator"]), guest, "shutdown").status_code == 204
    answer = act(browser(people["operator"]), guest, "reset")
    assert answer.status_code == 409
    assert "administrator" in answer.content.decode()


@pytest.mark.parametrize(
    ("kind", "data"), [("shutdown", {"wait": "soon"}), ("reboot", {"now": "1"}), ("autostart", {"enabled": "?"})]
)
def test_wrong_arguments_are_told(people, guest, kind: str, data: dict[str, str]) -> None:
    answer = act(browser(people["operator"]), guest, kind, **data)
    assert answer.status_code == 422
    assert toast_of(answer)["level"] == "danger"
    assert not Operation.objects.exists()


@pytest.mark.parametrize("kind", ["explode", "host-refresh", "bulk", "START"])
def test_unknown_verbs_are_not_found(people, guest, kind: str) -> None:
    assert act(browser(people["administrator"]), guest, kind).status_code == 404


def test_an_unknown_machine_is_not_found(people) -> None:
    answer = browser(people["operator"]).post(f"/vms/{uuid.uuid4()}/do/start/", headers=HTMX)
    assert answer.status_code == 404


def test_a_verb_is_not_done_by_a_link(people, guest) -> None:
    assert browser(people["operator"]).get(f"/vms/{guest.uuid}/do/reboot/").status_code == 405
    assert not Operation.objects.exists()


# --- dialogs


def test_the_migrate_dialog_says_where_to_and_why_not(people, guest, target) -> None:
    make_host("kvm3", state="unreachable", state_text="No route to host.")
    make_host("arm1", arch="aarch64")
    make_host("kvm4", enabled=False)
    text = browser(people["operator"]).get(f"/vms/{guest.uuid}/do/migrate/", headers=HTMX).content.decode()
    for words in (
        "already there",
        "No route to host.",
        "aarch64",
        "disabled",
        "8.0 GiB memory free",
        "virsh migrate web-1",
    ):
        assert words in text, words
    assert text.count("disabled>") + text.count("disabled\n") >= 4
    assert "<html" not in text


def test_the_dialog_is_a_page_of_its_own_without_scripts(people, guest, target) -> None:
    page = browser(people["operator"]).get(f"/vms/{guest.uuid}/do/migrate/")
    assert page.status_code == 200
    assert "<html" in page.content.decode()
    assert browser(people["viewer"]).get(f"/vms/{guest.uuid}/do/migrate/").status_code == 403


def test_a_move_is_asked_for_with_its_options(people, guest, target) -> None:
    answer = act(
        browser(people["operator"]),
        guest,
        "migrate",
        host="kvm2",
        copy_storage="on",
        bandwidth="32",
        auto_converge="on",
    )
    assert answer.status_code == 204
    assert "dialog-close" in json.loads(answer["HX-Trigger"])
    said = {
        "host": "kvm2", "bandwidth": 32, "copy_storage": True, "persist": False, "undefine_source": False, "auto_converge": True,
    }  # fmt: skip
    assert Operation.objects.get().arguments == {
        **DEFAULTS, **said, "policy": "safe", "disks": {}, "networks": {}, "state_pool": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"host": "nowhere"},
        {"host": "kvm1"},
        {"host": "kvm2", "bandwidth": "-1"},
        {"host": "kvm2", "bandwidth": "x"},
    ],
)
def test_a_move_that_makes_no_sense_shows_the_dialog_again(people, guest, target, data: dict[str, str]) -> None:
    answer = act(browser(people["operator"]), guest, "migrate", **data)
    assert answer.status_code == 422
    assert "field-error" in answer.content.decode()
    assert not Operation.objects.exists()


def test_the_command_follows_what_is_chosen(people, guest, target) -> None:
    client = browser(people["operator"])
    address = f"/vms/{guest.uuid}/do/migrate/virsh/"
    text = client.post(address, {"host": "kvm2", "unsafe": "on", "bandwidth": "9"}, headers=HTMX).content.decode()
    assert "--unsafe" in text
    assert "--bandwidth 9" in text
    assert "--persistent" not in text
    assert "once the form makes sense" in client.post(address, {"host": "x"}, headers=HTMX).content.decode()
    assert client.post(f"/vms/{guest.uuid}/do/start/virsh/", headers=HTMX).status_code == 404


def test_notes_change_only_what_was_changed(people, guest) -> None:
    client = browser(people["operator"])
    text = client.get(f"/vms/{guest.uuid}/do/set-metadata/", headers=HTMX).content.decode()
    assert 'value="prod"' in text
    act(client, guest, "set-metadata", title="", description="", tags="prod, shop", folder="a/b")
    assert Operation.objects.get().arguments == {"tags": ["prod", "shop"], "folder": "a/b"}


@pytest.mark.parametrize(
    ("field", "value"), [("tags", "<b>"), ("folder", "../x"), ("title", "x" * 300), ("description", "\x07")]
)
def test_notes_that_will_not_do_are_shown_again_with_the_reason(people, guest, field: str, value: str) -> None:
    answer = act(browser(people["operator"]), guest, "set-metadata", **{field: value})
    assert answer.status_code == 422
    assert "field-error" in answer.content.decode()
    assert not Operation.objects.exists()


# --- a move under way


def moving(vm: VirtualMachine) -> Operation:
    return Operation.objects.create(kind="migrate", state="running", subject_uuid=vm.pk, exclusive=True)


def test_the_limit_of_a_move_is_changed_by_a_signal(people, guest) -> None:
    operation = moving(guest)
    answer = browser(people["operator"]).post(f"/vms/{guest.uuid}/steer/bandwidth/", {"bandwidth": "12"}, headers=HTMX)
    assert answer.status_code == 204
    signal = OperationSignal.objects.get()
    assert (signal.operation, signal.name, signal.arguments) == (operation, "bandwidth", {"bandwidth": 12})


@pytest.mark.parametrize("value", ["-1", "fast", "9999999999", "1.5"])
def test_a_limit_that_is_no_number_is_refused(people, guest, value: str) -> None:
    moving(guest)
    answer = browser(people["operator"]).post(f"/vms/{guest.uuid}/steer/bandwidth/", {"bandwidth": value}, headers=HTMX)
    assert answer.status_code == 422
    assert not OperationSignal.objects.exists()


def test_only_those_who_may_migrate_change_the_limit_and_only_while_it_moves(people, guest) -> None:
    address = f"/vms/{guest.uuid}/steer/bandwidth/"
    assert browser(people["operator"]).post(address, {"bandwidth": "1"}, headers=HTMX).status_code == 409
    moving(guest)
    assert browser(people["viewer"]).post(address, {"bandwidth": "1"}, headers=HTMX).status_code == 403
    assert not OperationSignal.objects.exists()


# --- many at once


@pytest.fixture
def several(db: None) -> list[VirtualMachine]:
    host = make_host()
    return [
        make_guest(host, name="on-1"),
        make_guest(host, name="on-2", tags=("prod",)),
        make_guest(host, name="off-1", power_state="shutoff"),
        make_guest(make_host("kvm9", state="unreachable", state_text="No route to host."), name="lost-1"),
    ]


def bulk(client: Client, kind: str, vms: list[VirtualMachine], *, step: str = "", **data: str):
    return client.post(f"/vms/bulk/{step}", {"kind": kind, "ids": [str(vm.pk) for vm in vms], **data}, headers=HTMX)


def test_the_bulk_dialog_says_what_will_become_of_each(people, several) -> None:
    text = bulk(browser(people["operator"]), "reboot", several, step="confirm/").content.decode()
    for words in ("Reboot: 4 machines", "on-1", "2 of them will be refused", "off-1 is shut off", "No route to host.",
                  "virsh reboot on-1\nvirsh reboot on-2"):  # fmt: skip
        assert words in text, words
    assert not Operation.objects.exists()


def test_a_bulk_of_allowed_and_refused_has_a_result_for_each(people, several) -> None:
    answer = bulk(browser(people["operator"]), "reboot", several)
    assert answer.status_code == 204
    parent = Operation.objects.get(kind="bulk")
    assert toast_of(answer)["url"] == parent.get_absolute_url()
    results = dict(parent.children.values_list("subject_name", "state"))
    assert results == {"on-1": "queued", "on-2": "queued", "off-1": "refused", "lost-1": "refused"}


def test_dangerous_things_to_many_want_their_number_typed(people, several) -> None:
    client = browser(people["operator"])
    for word in ({}, {"confirm": "yes"}, {"confirm": "3"}):
        answer = bulk(client, "destroy", several, **word)
        assert answer.status_code == 422
        assert "Type 4 to confirm" in answer.content.decode()
    assert not Operation.objects.exists()
    assert bulk(client, "destroy", several, confirm="4").status_code == 204
    assert Operation.objects.filter(kind="destroy").count() == 4


def test_dangerous_things_to_one_want_its_name_typed(people, several) -> None:
    client = browser(people["operator"])
    assert bulk(client, "reset", several[:1], confirm="1").status_code == 422
    assert bulk(client, "reset", several[:1], confirm="on-1").status_code == 204


def test_many_guests_get_tags_and_a_folder_and_keep_the_rest(people, several) -> None:
    answer = bulk(
        browser(people["operator"]), "set-metadata", several[:2], add_tags="shop", remove_tags="old", folder="a/b"
    )
    assert answer.status_code == 204
    child = Operation.objects.get(subject_name="on-2")
    assert child.arguments == {"add_tags": ["shop"], "remove_tags": ["old"], "folder": "a/b"}
    assert "<tag>prod</tag>" in child.virsh
    assert "<tag>shop</tag>" in child.virsh


@pytest.mark.parametrize(
    ("kind", "data"),
    [("shutdown", {"wait": "0"}), ("set-metadata", {"add_tags": "<b>"}), ("set-metadata", {}),
     ("migrate", {"host": "kvm1"}), ("autostart", {"enabled": "perhaps"})],
)  # fmt: skip
def test_wrong_arguments_for_many_show_the_dialog_again(people, several, kind: str, data: dict[str, str]) -> None:
    assert bulk(browser(people["operator"]), kind, several[:2], **data).status_code == 422
    assert not Operation.objects.exists()


def test_viewers_do_nothing_to_many(people, several) -> None:
    for step in ("", "confirm/"):
        assert bulk(browser(people["viewer"]), "start", several, step=step).status_code == 403
    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    ("ids", "status"), [([], 409), (["x"], 422), (["' OR 1=1"], 422), ([str(uuid.UUID(int=7))], 409), (["\0"], 422)]
)
def test_a_selection_that_is_none_is_refused(people, several, ids: list[str], status: int) -> None:
    for step in ("", "confirm/"):
        answer = browser(people["operator"]).post(f"/vms/bulk/{step}", {"kind": "start", "ids": ids}, headers=HTMX)
        assert answer.status_code == status
    assert not Operation.objects.exists()


def test_too_many_at_once_are_refused(people) -> None:
    ids = [str(uuid.uuid4()) for _number in range(501)]
    answer = browser(people["operator"]).post("/vms/bulk/", {"kind": "start", "ids": ids}, headers=HTMX)
    assert answer.status_code == 422


@pytest.mark.parametrize("kind", ["", "explode", "host-refresh", "bulk"])
def test_unknown_verbs_for_many_are_not_found(people, several, kind: str) -> None:
    for step in ("", "confirm/"):
        assert bulk(browser(people["operator"]), kind, several, step=step).status_code == 404


def test_a_bulk_is_not_done_by_a_link(people) -> None:
    assert browser(people["operator"]).get("/vms/bulk/").status_code == 405
