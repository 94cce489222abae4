"""Plans of moves: made for a host or a selection, looked at, changed, begun, paused, stopped, taken back."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hosts import access
from hosts.audit import Actor
from hosts.models import Host, User
from hosts.operations.kind import InvalidArguments, Refused
from hosts.operations.storage_base import NotNow
from hosts.requests import actor_of, user_of
from hosts.views import answers
from vms.models import MovePlan, PlanStep, VirtualMachine
from vms.moving.plans import balancing, driving, editing, making
from vms.moving.plans.lasting import Piece, altogether
from vms.views.bulk import selected
from vms.views.listing import page_number
from vms.views.rows import parse_uuid

A_PAGE = 50
#: commands that a draft shows: each costs a query or two
COMMANDS_SHOWN = 20
State = MovePlan.State


def host_or_404(request: HttpRequest, name: str) -> Host:
    """The host, if it may be seen."""
    host = access.visible_to(user_of(request), Host.objects.filter(name=name[:63])).first()
    if host is None:
        raise Http404(_("There is no such host."))
    return host


def plan_or_404(request: HttpRequest, key: uuid.UUID) -> MovePlan:
    """The plan, if it may be seen."""
    plan = (
        access.visible_to(user_of(request), MovePlan.objects.filter(pk=key)).select_related("host", "operation").first()
    )
    if plan is None:
        raise Http404(_("There is no such plan."))
    return plan


@require_http_methods(["GET", "HEAD", "POST"])
def plans(request: HttpRequest) -> HttpResponse:
    """All plans; POST makes a draft, of the host that the address names or of a selection."""
    user = user_of(request)
    if request.method == "POST":
        return _make(request)
    rows = access.visible_to(user, MovePlan.objects.select_related("host"))
    paginator = Paginator(rows, A_PAGE)
    page = paginator.page(min(page_number(request.GET), paginator.num_pages))
    return render(request, "vms/plans.html", {"page_obj": page, "nav": "vms"})


def _make(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    try:
        access.require(user_of(request), making.VERB)
        if "host" in request.GET:
            plan = making.of_host(host_or_404(request, request.GET["host"]), actor)
        else:
            plan = making.of_selection(selected(request), actor)
    except (access.Denied, Refused) as error:
        return answers.refused(request, error, nav="vms")
    return _to(request, plan.get_absolute_url())


def _to(request: HttpRequest, address: str) -> HttpResponse:
    if answers.is_htmx(request):
        return HttpResponse(status=204, headers={"HX-Redirect": address})
    return HttpResponseRedirect(address)


@require_safe
def plan(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """One plan."""
    return _page(request, plan_or_404(request, key))


def _page(request: HttpRequest, found: MovePlan, error: str = "", status: int = 200) -> HttpResponse:
    context = context_of(found, user_of(request)) | {"error": error, "nav": "vms"}
    return render(request, "vms/plan.html", context, status=status)


def part(identifier: str, user: User) -> dict[str, Any] | None:
    """The plan as a push shows it; a draft is a form, which is left alone."""
    key = parse_uuid(identifier)
    rows = access.visible_to(user, MovePlan.objects.filter(pk=key)) if key is not None else MovePlan.objects.none()
    found = rows.select_related("host", "operation").first()
    return context_of(found, user) if found is not None else None


def context_of(found: MovePlan, user: User) -> dict[str, Any]:
    """Everything that a plan's page shows."""
    steps = list(found.steps.select_related("vm__host", "operation", "source", "target"))
    going = [step for step in steps if step.action != PlanStep.Action.STAY]
    pieces = [Piece(step.source_name, step.target_name, step.expected or 0.0) for step in going]
    ended = [step for step in going if step.state in ("succeeded", "failed", "skipped")]
    hosts = list(
        access.visible_to(user, Host.objects.filter(enabled=True)).defer("capabilities", "cells").order_by("name")
    )
    may = access.may(user, making.VERB)
    return {
        "plan": found,
        "steps": [{"row": step, "choices": _choices(step), "percent": _percent(step)} for step in steps],
        "going": len(going),
        "ended": len(ended),
        "failed": sum(step.state == "failed" for step in going),
        "percent": 100 * len(ended) / len(going) if going else 0,
        "staying": sum(step.action == PlanStep.Action.STAY for step in steps),
        "lasts": altogether(pieces, found.per_host, found.per_link),
        "guessed": any(step.guessed for step in going),
        "rooms": rooms(steps, hosts),
        "hosts": [host for host in hosts if not host.in_maintenance and host.is_connected],
        "commands": "\n".join(filter(None, (driving.command_of(found, step) for step in going[:COMMANDS_SHOWN])))
        if found.state == State.DRAFT
        else "",
        "may": may,
        "editable": may and found.state == State.DRAFT,
        "may_back": may and found.state == State.DONE and found.purpose != MovePlan.Purpose.BACK,
    }


def _choices(step: PlanStep) -> list[tuple[str, str]]:
    actions = editing.CHOICES[step.vm.power_state == "shutoff"]
    return [(str(action), str(PlanStep.Action(action).label)) for action in actions]


def _percent(step: PlanStep) -> float | None:
    return step.operation.percent if step.operation is not None and step.state == "running" else None


def rooms(steps: list[PlanStep], hosts: list[Host]) -> list[dict[str, Any]]:
    """What comes to each target, and what memory is left there then."""
    coming: dict[int, list[PlanStep]] = {}
    for step in steps:
        if step.action == PlanStep.Action.MOVE and step.target_id and step.state in ("waiting", "running"):
            coming.setdefault(step.target_id, []).append(step)
    found = []
    for host in hosts:
        arriving = coming.get(host.pk, [])
        if not arriving:
            continue
        free = host.memory - host.memory_used if host.memory_used is not None else None
        memory = sum(step.memory for step in arriving)
        left = free - memory if free is not None else None
        found.append({"host": host, "guests": len(arriving), "memory": memory, "free": free, "left": left})
    return found


@require_POST
def change(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Save what was changed in a draft."""
    found = plan_or_404(request, key)
    try:
        access.require(user_of(request), making.VERB)
        editing.change(found, _said(request, found), actor_of(request))
    except (InvalidArguments, NotNow) as error:
        return _page(request, found, str(error), answers.status_of(error))
    except (access.Denied, Refused) as error:
        return answers.refused(request, error, nav="vms")
    if "run" in request.POST:
        return _do(request, found, driving.run, found.get_absolute_url())
    return _to(request, found.get_absolute_url())


def _said(request: HttpRequest, found: MovePlan) -> dict[str, Any]:
    said = request.POST
    steps = [
        {
            "vm": str(vm),
            "action": said[f"action-{vm}"],
            "target": said.get(f"target-{vm}", ""),
            "copy_storage": f"copy-{vm}" in said,
        }
        for vm in found.steps.values_list("vm_id", flat=True)
        if f"action-{vm}" in said
    ]
    numbers = {name: _number(name, said[name]) for name in ("per_host", "per_link", "bandwidth") if said.get(name)}
    flags = {name: name in said for name in ("unsafe", "auto_converge")} if steps else {}
    return {**numbers, **flags, "steps": steps}


def _number(name: str, text: str) -> int:
    try:
        return int(text[:9])
    except ValueError:
        raise InvalidArguments(name, _("A number is needed.")) from None


@require_http_methods(["GET", "HEAD", "POST"])
def balance(request: HttpRequest) -> HttpResponse:
    """What moving some guests would do for the balance; POST makes a draft of those that are ticked."""
    user = user_of(request)
    found = balancing.balance(
        access.visible_to(user, Host.objects.all()), access.visible_to(user, VirtualMachine.objects.all())
    )
    if request.method == "POST":
        return _make_of(request, found)
    context = {
        "balance": found,
        "loads": list(zip(found.before, found.after, strict=True)),
        "may": access.may(user, making.VERB),
        "nav": "hosts",
    }
    return render(request, "vms/balance.html", context)


def _make_of(request: HttpRequest, found: balancing.Balance) -> HttpResponse:
    try:
        access.require(user_of(request), making.VERB)
        ticked = set(request.POST.getlist("vm"))
        wanted = [one for one in found.proposals if str(one.vm.pk) in ticked]
        plan = making.make(
            MovePlan.Purpose.BALANCE,
            [one.vm for one in wanted],
            actor_of(request),
            targets={one.vm.pk: one.target.pk for one in wanted},
        )
    except (access.Denied, Refused) as error:
        return answers.refused(request, error, nav="hosts")
    return _to(request, plan.get_absolute_url())


#: what a plan can be told → who does it
VERBS: dict[str, Callable[[MovePlan, Actor], Any]] = {
    "run": driving.run,
    "pause": driving.pause,
    "continue": driving.go_on,
    "stop": driving.stop,
    "drop": editing.drop,
    "back": making.back,
}


@require_POST
def tell(request: HttpRequest, key: uuid.UUID, verb: str) -> HttpResponse:
    """Begin it, pause it, go on, stop it, throw a draft away, or make the plan that takes it back."""
    if verb not in VERBS:
        raise Http404
    found = plan_or_404(request, key)
    return _do(request, found, VERBS[verb], reverse("vms:plans") if verb == "drop" else found.get_absolute_url())


def _do(request: HttpRequest, found: MovePlan, verb: Callable[[MovePlan, Actor], Any], address: str) -> HttpResponse:
    try:
        access.require(user_of(request), making.VERB)
        made = verb(found, actor_of(request))
    except (access.Denied, Refused) as error:
        return answers.refused(request, error, nav="vms")
    return _to(request, made.get_absolute_url() if isinstance(made, MovePlan) else address)


@require_POST
def maintenance(request: HttpRequest, name: str) -> HttpResponse:
    """``?on=true`` keeps new guests and moves away from the host, ``?on=false`` lets it take part again."""
    host, actor = host_or_404(request, name), actor_of(request)
    wanted = request.GET.get("on") or request.POST.get("on")
    if wanted not in ("true", "false"):
        return answers.refused(request, InvalidArguments("on", _("Say true or false.")), nav="hosts")
    try:
        driving.enter(host, actor) if wanted == "true" else driving.leave(host, actor)
    except (access.Denied, Refused) as error:
        return answers.refused(request, error, nav="hosts")
    text = _("%(host)s is in maintenance.") if wanted == "true" else _("%(host)s takes part again.")
    return answers.done(request, text % {"host": host.name}, host.get_absolute_url())
