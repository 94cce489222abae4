"""Plans of moves from making to their end: proposals, changes, pace, pause, stop, what fails, and what is taken back.

What is moved stands in rows: operations end as the tests say. The moves themselves are in test_lab_plans.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.utils import timezone

from hosts import timers
from hosts.audit import Actor
from hosts.models import AuditEntry, Host, Network, Operation, Sample
from hosts.operations import queue
from hosts.operations.kind import Refused
from kvmdash.tests.cluster import ApiClient
from kvmdash.tests.test_pages_preflight import full_host, guest_on
from vms.creation import checks
from vms.models import MovePlan, PlanStep, Sighting, VirtualMachine
from vms.moving.plans import balancing, driving, editing, making
from vms.moving.plans.lasting import Piece, Rates, altogether
from vms.tests.making import HTMX, browser

pytestmark = pytest.mark.django_db(databases=["default", "metrics"])
GIB = 2**30


@pytest.fixture
def hosts(db: None) -> list[Host]:
    """Three alike; the third has the most memory free."""
    return [full_host(f"kvm{number}", memory_used=used * GIB) for number, used in ((1, 8), (2, 12), (3, 4))]


@pytest.fixture
def actor(people: dict[str, Any]) -> Actor:
    return Actor(people["operator"])


def four(host: Host, memory: int = GIB) -> list[VirtualMachine]:
    return [guest_on(host, f"web-{number}", memory=memory) for number in range(4)]


def end(step: PlanStep, state: str = "succeeded", **columns: Any) -> None:
    """The step's operation ends, and the guest is where that brought it."""
    step.refresh_from_db()
    Operation.objects.filter(pk=step.operation_id).update(state=state, finished_at=timezone.now(), **columns)
    if state == "succeeded" and step.action == "move":
        VirtualMachine.objects.filter(pk=step.vm_id).update(host=step.target_id)
        Sighting.objects.filter(vm=step.vm_id).update(host=step.target_id)


def states(plan: MovePlan) -> list[str]:
    return [step.state for step in plan.steps.all()]


def test_each_guest_goes_where_the_most_memory_is_left_and_what_is_left_is_told(hosts, actor):
    four(hosts[0], 5 * GIB)
    plan = making.of_host(hosts[0], actor)
    # kvm3 has 12 GiB free and kvm2 4: two go to kvm3, and no more have room.
    told = [(step.action, step.target_name) for step in plan.steps.all()]
    assert told == [("move", "kvm3"), ("move", "kvm3"), ("stay", ""), ("stay", "")], told
    assert "room for its memory" in plan.steps.last().why
    assert (
        plan.state == "draft"
        and not Operation.objects.exists()
        and not Host.objects.exclude(maintenance_since=None).exists()
    )


def test_who_cannot_go_says_why_and_who_is_off_stays(hosts, actor):
    guest_on(hosts[0], "dmz", network="dmz")
    guest_on(hosts[0], "off", power_state="shutoff")
    told = {step.vm_name: (step.action, step.why) for step in making.of_host(hosts[0], actor).steps.all()}
    assert told["dmz"][0] == "stay" and "has no network dmz." in told["dmz"][1]
    assert told["off"] == ("stay", "It is off: it can stay.")


def test_hosts_in_maintenance_take_neither_moves_nor_new_guests(hosts, actor, people):
    driving.enter(hosts[2], actor)
    guest_on(hosts[0])
    assert [step.target_name for step in making.of_host(hosts[0], actor).steps.all()] == ["kvm2"]
    api = ApiClient(people["operator"])
    vm = VirtualMachine.objects.get()
    refused = api.post(f"vms/{vm.pk}/migrate", {"host": "kvm3"})
    assert refused.status_code == 409 and "in maintenance" in refused.json()["detail"]
    assert [finding.text for finding in checks._host(Host.objects.get(name="kvm3"))] == ["kvm3 is in maintenance."]
    driving.leave(hosts[2], actor)
    assert api.post(f"vms/{vm.pk}/migrate", {"host": "kvm3"}).status_code == 202
    noted = AuditEntry.objects.filter(action="host.maintenance").order_by("id")
    assert [(entry.subject, entry.detail["on"]) for entry in noted] == [("kvm3", True), ("kvm3", False)]


def test_no_more_is_under_way_than_the_pace_allows_and_the_plan_ends_with_its_last_step(hosts, actor):
    four(hosts[0])
    plan = making.of_host(hosts[0], actor)
    editing.change(plan, {"per_host": 2, "per_link": 1}, actor)
    parent = driving.run(plan, actor)
    assert Host.objects.get(pk=hosts[0].pk).in_maintenance and parent.pk == plan.pk
    most = 0
    for _round in range(12):
        plan.refresh_from_db()
        driving.drive(plan)
        running = list(plan.steps.filter(state="running"))
        most = max(most, len(running))
        links = [(step.source_name, step.target_name) for step in running]
        assert len(links) <= 2 and len(set(links)) == len(links), links
        driving.drive(plan)
        assert plan.steps.filter(state="running").count() == len(running), "the same again begins nothing"
        for step in running:
            end(step)
    plan.refresh_from_db()
    parent.refresh_from_db()
    assert states(plan) == ["succeeded"] * 4 and plan.state == "done" and most >= 1
    assert parent.state == "succeeded" and parent.children.count() == 4
    assert set(parent.children.values_list("kind", flat=True)) == {"migrate"}


def test_the_next_step_begins_in_the_round_after_the_end_of_one(hosts, actor):
    four(hosts[0])
    plan = making.of_host(hosts[0], actor)
    driving.run(plan, actor)
    rounds = timers.Timers()
    rounds.run_due()
    ended = plan.steps.filter(state="running").first()
    waiting = plan.steps.filter(state="waiting", target=ended.target).first()
    end(ended)
    rounds.run_due()
    waiting.refresh_from_db()
    assert waiting.state == "running"


def test_a_move_that_fails_is_marked_and_neither_tried_again_nor_in_the_way(hosts, actor):
    four(hosts[0])
    plan = making.of_host(hosts[0], actor)
    driving.run(plan, actor)
    for _round in range(10):
        plan.refresh_from_db()
        driving.drive(plan)
        for number, step in enumerate(plan.steps.filter(state="running")):
            bad = step.order == 1
            end(step, "failed" if bad else "succeeded", **({"error": {"message": "It broke."}} if bad else {}))
            assert number < 4
    plan.refresh_from_db()
    assert states(plan) == ["failed", "succeeded", "succeeded", "succeeded"] and plan.state == "done"
    first = plan.steps.first()
    assert first.why == "It broke." and Operation.objects.filter(subject_uuid=first.vm_id).count() == 1
    assert Operation.objects.get(pk=plan.operation_id).state == "failed"


def test_a_guest_that_may_not_go_any_more_is_refused_and_the_others_go(hosts, actor):
    four(hosts[0])
    plan = making.of_host(hosts[0], actor)
    driving.run(plan, actor)
    gone = plan.steps.first()
    VirtualMachine.objects.filter(pk=gone.vm_id).update(host=hosts[1])
    busy = plan.steps.all()[1]
    queue.enqueue("reset", busy.vm, {}, actor)
    for _round in range(8):
        plan.refresh_from_db()
        driving.drive(plan)
        for step in plan.steps.filter(state="running"):
            end(step)
    plan.refresh_from_db()
    assert states(plan) == ["failed", "failed", "succeeded", "succeeded"] and plan.state == "done"
    assert "not on kvm1 any more" in plan.steps.first().why and "is busy" in plan.steps.all()[1].why


def test_a_pause_begins_nothing_and_a_stop_leaves_the_rest(hosts, actor):
    four(hosts[0])
    plan = making.of_host(hosts[0], actor)
    editing.change(plan, {"per_host": 1}, actor)
    driving.run(plan, actor)
    plan.refresh_from_db()
    driving.drive(plan)
    driving.pause(plan, actor)
    plan.refresh_from_db()
    end(plan.steps.get(state="running"))
    driving.drive(plan)
    assert states(plan) == ["succeeded", "waiting", "waiting", "waiting"]
    driving.go_on(plan, actor)
    plan.refresh_from_db()
    driving.drive(plan)
    driving.stop(plan, actor)
    plan.refresh_from_db()
    driving.drive(plan)
    assert states(plan) == ["succeeded", "running", "skipped", "skipped"] and plan.state == "stopping"
    end(plan.steps.get(state="running"))
    driving.drive(plan)
    plan.refresh_from_db()
    assert states(plan) == ["succeeded", "succeeded", "skipped", "skipped"] and plan.state == "done"
    assert Operation.objects.get(pk=plan.operation_id).state == "succeeded"
    with pytest.raises(Refused):
        driving.pause(plan, actor)


def test_cancelling_its_operation_stops_the_plan(hosts, actor):
    four(hosts[0])
    plan = making.of_host(hosts[0], actor)
    parent = driving.run(plan, actor)
    plan.refresh_from_db()
    driving.drive(plan)
    queue.cancel(parent, actor)  # What waits in the queue ends at once.
    plan = MovePlan.objects.select_related("operation", "actor").get(pk=plan.pk)
    driving.drive(plan)
    driving.drive(MovePlan.objects.select_related("operation", "actor").get(pk=plan.pk))
    plan.refresh_from_db()
    assert plan.state == "done" and "waiting" not in states(plan) and "running" not in states(plan)
    assert not Operation.objects.filter(state__in=Operation.ACTIVE).exists()


def test_another_process_goes_on_where_one_died(hosts, actor):
    four(hosts[0])
    plan = making.of_host(hosts[0], actor)
    driving.run(plan, actor)
    # One died with the plan in hand: it is left alone until that has run out.
    MovePlan.objects.update(held_until=timezone.now() + driving.HOLD)
    driving.look()
    assert set(states(plan)) == {"waiting"}
    MovePlan.objects.update(held_until=timezone.now() - driving.HOLD)
    driving.look()
    driving.look()
    assert states(plan).count("running") == Operation.objects.filter(kind="migrate").count() > 0


def test_a_plan_is_taken_back_by_those_who_are_still_where_it_brought_them(hosts, actor):
    vms = four(hosts[0])
    plan = making.of_host(hosts[0], actor)
    editing.change(plan, {"steps": [{"vm": str(vms[3].pk), "action": "shutdown"}]}, actor)
    driving.run(plan, actor)
    with pytest.raises(Refused, match="has not ended"):
        making.back(plan, actor)
    for _round in range(8):
        plan.refresh_from_db()
        driving.drive(plan)
        for step in plan.steps.filter(state="running"):
            end(step)
    VirtualMachine.objects.filter(pk=vms[3].pk).update(power_state="shutoff")
    VirtualMachine.objects.filter(pk=vms[0].pk).update(host=None)  # Somebody took it elsewhere.
    driving.leave(hosts[0], actor)
    plan.refresh_from_db()
    back = making.back(plan, actor)
    assert {(step.vm_name, step.action, step.target_name) for step in back.steps.all()} == {
        ("web-1", "move", "kvm1"), ("web-2", "move", "kvm1"), ("web-3", "start", ""),
    }  # fmt: skip
    driving.run(back, actor)
    assert not Host.objects.get(name="kvm1").in_maintenance, "only emptying a host keeps others away from it"


def test_a_draft_is_changed_and_what_will_not_do_is_refused(hosts, actor):
    vms = four(hosts[0])
    plan = making.of_selection(vms, actor)
    editing.change(
        plan, {"steps": [{"vm": str(vms[0].pk), "action": "move", "target": "kvm2"}], "bandwidth": 50}, actor
    )
    step = plan.steps.get(vm=vms[0])
    plan.refresh_from_db()
    assert (step.target_name, plan.arguments) == ("kvm2", {"bandwidth": 50}) and step.expected > GIB / (50 * 2**20)
    Network.objects.filter(host=hosts[2]).delete()
    for wrong, words in (
        ({"steps": [{"vm": str(vms[0].pk), "action": "move", "target": "kvm3"}]}, "has no network default"),
        ({"steps": [{"vm": str(vms[1].pk), "action": "move", "target": "nowhere"}]}, "Choose a host"),
        ({"steps": [{"vm": str(vms[1].pk), "action": "start"}]}, "cannot be treated so"),
        ({"steps": [{"vm": "x"}]}, "no such guest"),
        ({"per_host": 0}, "Between 1 and 20"),
        ({"per_host": True}, "Between 1 and 20"),
        ({"speed": 1}, "no parameter"),
    ):
        with pytest.raises(Refused, match=words):
            editing.change(plan, wrong, actor)
    driving.run(plan, actor)
    with pytest.raises(Refused, match="Only a draft"):
        editing.change(plan, {"per_host": 3}, actor)


def test_a_plan_by_which_nothing_would_happen_is_not_begun(hosts, actor):
    guest_on(hosts[0], "off", power_state="shutoff")
    plan = making.of_host(hosts[0], actor)
    with pytest.raises(Refused, match="every guest stays"):
        driving.run(plan, actor)
    plan.refresh_from_db()
    assert plan.state == "draft" and not Host.objects.get(pk=hosts[0].pk).in_maintenance
    with pytest.raises(Refused, match="no guest"):
        making.of_host(hosts[1], actor)


def test_short_moves_go_several_at_a_time_and_one_that_lasts_keeps_the_wire_for_itself(hosts, actor):
    vms = four(hosts[0], 128 * 2**20)
    plan = making.of_host(hosts[0], actor)
    assert (plan.per_host, plan.per_link) == (8, 4)
    VirtualMachine.objects.filter(pk=vms[0].pk).update(memory=GIB)
    slower = making.of_host(hosts[0], actor)
    assert (slower.per_host, slower.per_link) == (2, 1), [step.expected for step in slower.steps.all()]
    Host.objects.exclude(pk=hosts[0].pk).update(enabled=False)
    nowhere = making.of_host(hosts[0], actor)
    assert (nowhere.per_host, nowhere.per_link) == (2, 1)


def test_times_are_those_measured_between_the_hosts_and_else_called_a_guess(hosts, actor):
    result = {"host": "kvm3", "transferred": 100 * 2**20, "total_ms": 1000}
    Operation.objects.create(
        kind="migrate", state="succeeded", host_name="kvm1", result=result, finished_at=timezone.now()
    )
    rates = Rates.measured()
    assert rates.seconds("kvm1", "kvm3", GIB) == (pytest.approx(3 + 10.24), False)
    assert rates.seconds("kvm1", "kvm2", GIB)[1] is True
    assert rates.seconds("kvm1", "kvm3", GIB, bandwidth=50)[0] == pytest.approx(3 + 20.48)
    result |= {"carried": 400 * 2**20, "seconds": 1.5}
    Operation.objects.create(
        kind="migrate", state="succeeded", host_name="kvm2", result=result, finished_at=timezone.now()
    )
    rates = Rates.measured()
    assert rates.seconds("kvm2", "kvm3", GIB)[0] == pytest.approx(0.5 + 2.56), "memory of nothing but zeros, too"
    pieces = [Piece("a", "b", 10), Piece("a", "b", 10), Piece("a", "c", 10)]
    assert altogether(pieces, per_host=3, per_link=1) == 20 and altogether(pieces, per_host=1, per_link=1) == 30
    assert altogether([], 1, 1) == 0


def test_the_page_is_a_form_while_it_is_a_draft_and_tells_how_it_goes_afterwards(hosts, people):
    vms = four(hosts[0])
    client = browser(people["operator"])
    made = client.post("/vms/plans/?host=kvm1")
    assert made.status_code == 302
    text = client.get(made["Location"]).content.decode()
    assert f'name="action-{vms[0].pk}"' in text and "Save and begin" in text and "A guess" in text
    assert "virsh migrate web-0 qemu+tcp://kvm" in text
    assert "Save and begin" not in browser(people["viewer"]).get(made["Location"]).content.decode()
    plan = MovePlan.objects.get()
    fields = {f"action-{vm.pk}": "move" for vm in vms} | {f"target-{vm.pk}": "kvm2" for vm in vms}
    wrong = client.post(f"/vms/plans/{plan.pk}/change/", fields | {f"target-{vms[0].pk}": "", "per_host": "2"})
    assert wrong.status_code == 409 and "Choose a host for web-0" in wrong.content.decode()
    assert client.post(f"/vms/plans/{plan.pk}/change/", fields | {"per_host": "2", "run": "yes"}).status_code == 302
    plan.refresh_from_db()
    assert plan.state == "running" and set(plan.steps.values_list("target_name", flat=True)) == {"kvm2"}
    text = client.get(made["Location"]).content.decode()
    assert f'data-live="plan:{plan.pk}"' in text and "Stop after those under way" in text
    assert "in maintenance" in client.get("/hosts/kvm1/").content.decode()
    assert client.post(f"/vms/plans/{plan.pk}/pause/", headers=HTMX).status_code == 204
    assert client.post(f"/vms/plans/{plan.pk}/explode/", headers=HTMX).status_code == 404


def test_a_selection_is_planned_from_the_list(hosts, people):
    vms = four(hosts[0])
    sent = browser(people["operator"]).post("/vms/plans/", {"ids": [str(vms[0].pk), str(vms[1].pk)]}, headers=HTMX)
    plan = MovePlan.objects.get()
    assert sent["HX-Redirect"] == f"/vms/plans/{plan.pk}/" and plan.steps.count() == 2 and plan.purpose == "selection"


@pytest.mark.parametrize("role", ["viewer", "viewer-watching"])
def test_who_may_only_look_plans_nothing(hosts, people, actor, role):
    vms = four(hosts[0])
    plan = making.of_host(hosts[0], actor)
    client, api = browser(people[role]), ApiClient(people[role])
    assert client.get(f"/vms/plans/{plan.pk}/").status_code == 200
    for address in ("/vms/plans/?host=kvm1", f"/vms/plans/{plan.pk}/change/", f"/vms/plans/{plan.pk}/run/",
                    f"/vms/plans/{plan.pk}/drop/",
                    "/vms/maintenance/kvm1/?on=true"):  # fmt: skip
        assert client.post(address).status_code == 403, address
    asked = [
        api.post("plans", {"host": "kvm1"}), api.post(f"plans/{plan.pk}/run"), api.post("hosts/kvm1/maintenance", {"on": True}),
        api.client.patch(f"/api/v1/plans/{plan.pk}", "{}", content_type="application/json", headers=api.headers),
        api.client.delete(f"/api/v1/plans/{plan.pk}", headers=api.headers),
    ]  # fmt: skip
    assert [answer.status_code for answer in asked] == [403] * 5
    assert MovePlan.objects.get().state == "draft" and not Operation.objects.exists() and len(vms) == 4
    assert not Host.objects.exclude(maintenance_since=None).exists()


def test_the_api_plans_changes_runs_and_takes_back(hosts, people):
    vms = four(hosts[0])
    api = ApiClient(people["operator"])
    made = api.post("plans", {"host": "kvm1"})
    assert made.status_code == 201, made.content
    plan = made.json()
    assert plan["state"] == "draft" and len(plan["steps"]) == 4 and plan["rooms"] and plan["guessed"] is True

    def patch(**body: Any) -> Any:
        address, text = f"/api/v1/plans/{plan['id']}", json.dumps(body)
        return api.client.patch(address, text, content_type="application/json", headers=api.headers)

    changed = patch(per_host=4, steps=[{"vm": str(vms[0].pk), "action": "stay"}])
    assert changed.status_code == 200 and changed.json()["per_host"] == 4, changed.json()
    wrong = {"vm": str(vms[0].pk), "action": "move", "target": "nowhere"}
    assert patch(steps=[wrong]).status_code == 409
    assert api.post(f"plans/{plan['id']}/run").json()["state"] == "running"
    assert api.post(f"plans/{plan['id']}/run").status_code == 409
    assert api.post(f"plans/{plan['id']}/back").status_code == 409
    assert api.post("hosts/kvm1/maintenance", {"on": False}).status_code == 409, "it is being emptied"
    for body in ({}, {"host": "nowhere"}, {"host": "kvm1", "uuids": [str(vms[0].pk)]}):
        assert api.post("plans", body).status_code == 409, body
    assert api.post("plans", {"uuids": []}).status_code == 422
    assert [one["id"] for one in api.get("plans").json()] == [plan["id"]]


def test_the_balance_proposes_what_lowers_the_highest_load_and_a_plan_is_made_of_what_is_ticked(hosts, people, actor):
    Host.objects.filter(name="kvm1").update(memory_used=15 * GIB)
    Host.objects.filter(name="kvm2").update(memory_used=8 * GIB)
    Host.objects.filter(name="kvm3").update(memory_used=4 * GIB, cpu_percent=95.0)
    vms = [guest_on(hosts[0], f"web-{number}", memory=3 * GIB, memory_used=3 * GIB) for number in range(3)]
    found = balancing.balance(Host.objects.all(), VirtualMachine.objects.all())
    assert {(one.source.name, one.target.name) for one in found.proposals} == {("kvm1", "kvm2")}, (
        "kvm3 has no processor time"
    )
    first = found.proposals[0]
    assert first.source_before - first.source_after == pytest.approx(100 * 3 / 16)
    assert found.spread[1] < found.spread[0] and not MovePlan.objects.exists()
    text = browser(people["viewer"]).get("/vms/balance/").content.decode()
    assert "web-" in text and "Make a plan" not in text
    assert browser(people["viewer"]).post("/vms/balance/", {"vm": str(first.vm.pk)}).status_code == 403
    assert browser(people["operator"]).post("/vms/balance/", {"vm": str(first.vm.pk)}).status_code == 302
    step = PlanStep.objects.get()
    assert (step.vm_id, step.target_name, step.plan.purpose) == (first.vm.pk, "kvm2", "balance") and len(vms) == 3
    assert browser(people["operator"]).post("/vms/balance/", {}).status_code == 409


def test_what_guests_took_lately_counts_more_than_this_moment(hosts):
    Host.objects.update(memory_used=4 * GIB, cpu_percent=10.0)
    vm = guest_on(hosts[0], "busy", memory=GIB, vcpus=8, cpu_percent=0.0)
    guest_on(hosts[0], "idle", memory=GIB, vcpus=8, cpu_percent=0.0)
    at = int(time.time()) - 600
    Sample.objects.create(subject=f"host:{hosts[0].pk}", step=300, at=at, cpu=90.0)
    Sample.objects.create(subject=f"vm:{vm.pk}", step=300, at=at, cpu=60.0)
    found = balancing.balance(Host.objects.all(), VirtualMachine.objects.all())
    assert [one.vm.name for one in found.proposals] == ["busy"] and found.proposals[0].cores == pytest.approx(4.8)


def test_a_cluster_that_is_even_is_left_alone(hosts):
    Host.objects.update(memory_used=8 * GIB)
    guest_on(hosts[0])
    assert balancing.balance(Host.objects.all(), VirtualMachine.objects.all()).proposals == []
    assert balancing.balance(Host.objects.none(), VirtualMachine.objects.all()).before == []
