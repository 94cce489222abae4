"""Searching everything: objects, what can be done to them, and pages, by the rights of the one who asks."""

from __future__ import annotations

from typing import Any

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import access
from hosts.models import Host, Network, StoragePool, User
from hosts.views.host_parts import main_actions
from vms.forms import FORMS
from vms.models import VirtualMachine
from vms.views import parts
from vms.views.actions import Action, action, actions_of
from vms.views.rows import shown_state

MOST = 8
MOST_ACTIONS = 12
MOST_LETTERS = 100
#: what may be asked for from the palette without looking at the guest's page first
VERBS = ("start", "shutdown", "reboot", "suspend", "resume", "migrate", "reset", "destroy")
Result = dict[str, Any]
Group = dict[str, Any]


def groups(query: str, user: User) -> list[Group]:
    """Groups of results, the nearest first; without words the pages and nothing else."""
    words = query.replace("\0", "").strip().lower()[:MOST_LETTERS].split()
    if not words:
        return _filled([(_("Pages"), _pages([], user))])
    guests = _guests(words, user)
    return _filled(
        [
            (_("Virtual machines"), [_guest(vm) for vm in guests]),
            (_("Hosts"), [_host(host) for host in _hosts(words, user)]),
            (_("Do"), _actions(words, user)),
            (_("Pages"), _pages(words, user)),
            (_("Storage"), _resources(StoragePool.objects.all(), words, user, "storage", "database")),
            (_("Networks"), _resources(Network.objects.all(), words, user, "networks", "network")),
        ]
    )


def _filled(found: list[tuple[str, list[Result]]]) -> list[Group]:
    return [{"title": title, "results": results} for title, results in found if results]


def _guests(words: list[str], user: User) -> list[VirtualMachine]:
    rows = access.visible_to(user, VirtualMachine.objects.filter(absent_since=None)).select_related("host")
    for word in words:
        rows = rows.filter(Q(search_text__contains=word) | Q(name__icontains=word))
    return list(_nearest(rows, words[0])[:MOST])


def _nearest(rows: QuerySet[Any], word: str) -> QuerySet[Any]:
    """What is named so, then what begins so, then the rest."""
    rank = Case(
        When(name__iexact=word, then=Value(0)), When(name__istartswith=word, then=Value(1)), default=Value(2),
        output_field=IntegerField(),
    )  # fmt: skip
    found: QuerySet[Any] = rows.annotate(rank=rank).order_by("rank", "name")
    return found


def _guest(vm: VirtualMachine) -> Result:
    where = vm.host.name if vm.host is not None else ""
    address = vm.addresses[0]["address"] if vm.addresses else ""
    hint = " · ".join(part for part in (where, address) if part)
    return {"label": vm.name, "url": vm.get_absolute_url(), "hint": hint, "kind": "vm", "state": shown_state(vm)}


def _hosts(words: list[str], user: User) -> list[Host]:
    rows = access.visible_to(user, Host.objects.all()).only("name", "state", "description", "enabled")
    for word in words:
        rows = rows.filter(Q(name__icontains=word) | Q(description__icontains=word) | Q(hostname__icontains=word))
    return list(_nearest(rows, words[0])[:MOST])


def _host(host: Host) -> Result:
    return {
        "label": host.name,
        "url": host.get_absolute_url(),
        "hint": host.description,
        "kind": "host",
        "state": host.state,
    }


def _resources(rows: QuerySet[Any], words: list[str], user: User, page: str, icon: str) -> list[Result]:
    found = access.visible_to(user, rows.filter(absent_since=None)).select_related("host").defer("definition")
    for word in words:
        found = found.filter(Q(name__icontains=word) | Q(host__name__icontains=word))
    return [
        {
            "label": row.name,
            "url": reverse("hosts:detail_tab", args=[row.host.name, page]),
            "hint": row.host.name,
            "icon": icon,
        }
        for row in _nearest(found, words[0])[:MOST]
    ]


def _actions(words: list[str], user: User) -> list[Result]:
    """“start web”: a word that begins a verb, and the rest of the words for the object; “web” alone: its main actions."""
    found = [result for word in words for result in _verb_actions(word, _without(words, word), user)]
    if not found:
        for vm in _guests(words, user)[:2]:
            found += [*_console(vm, user), *(_action(vm, one) for one in _offered(vm, user))]
        found += [_host_action(host, one) for host in _hosts(words, user)[:2] for one in main_actions(host, user)]
    return found[:MOST_ACTIONS]


def _without(words: list[str], word: str) -> list[str]:
    rest = list(words)
    rest.remove(word)
    return rest


def _verb_actions(word: str, rest: list[str], user: User) -> list[Result]:
    if len(word) < 3:
        return []
    guests = _guests(rest, user) if rest else []
    if _("Console").lower().startswith(word) or "console".startswith(word):
        return [result for vm in guests for result in _console(vm, user)]
    offers = [(vm, one) for vm in guests for one in _offered(vm, user, everything=True)]
    return [_action(vm, one) for vm, one in offers if one.label.lower().startswith(word) or one.name.startswith(word)]


def _offered(vm: VirtualMachine, user: User, *, everything: bool = False) -> list[Action]:
    """What makes sense now."""
    offers = actions_of(vm, user)
    wanted = [*offers["main"], *offers["more"], *offers["danger"]] if everything else offers["main"]
    return [one for one in wanted if one.name in VERBS and not one.reason]


def _action(vm: VirtualMachine, one: Action) -> Result:
    label = _("%(action)s %(name)s") % {"action": one.label, "name": vm.name}
    where = vm.host.name if vm.host is not None else ""
    return {"label": label, "url": _confirm_url(vm, one.name), "hint": where, "icon": one.look.icon}


def _console(vm: VirtualMachine, user: User) -> list[Result]:
    """Its console, while there is something to see."""
    offer = parts.console(vm, user)
    if offer is None or not offer["enabled"]:
        return []
    label = _("%(action)s %(name)s") % {"action": _("Console"), "name": vm.name}
    return [
        {"label": label, "url": offer["url"], "hint": vm.host.name if vm.host else "", "icon": "terminal-2"},
    ]


def _confirm_url(vm: VirtualMachine, verb: str) -> str:
    """A kind with a form of its own asks there; the others on a page that shows what will be done."""
    return reverse("vms:act" if verb in FORMS else "confirm", args=[vm.uuid, verb])


def action_of(vm: VirtualMachine, verb: str, user: User) -> Action | None:
    """What the page of confirmation asks about."""
    return action(verb, vm, user) if verb in VERBS else None


def _host_action(host: Host, item: dict[str, Any]) -> Result:
    label = _("%(action)s %(name)s") % {"action": item["label"], "name": host.name}
    return {"label": label, "url": host.get_absolute_url(), "hint": _("on the host's page"), "icon": item["icon"]}


#: label, URL name, icon, the verb it needs, more words it is found by
PAGES = (
    (gettext_lazy("Overview"), "overview", "layout-dashboard", "host.view", "home start dashboard"),
    (gettext_lazy("Virtual machines"), "vms:list", "device-desktop", "vm.view", "guests vms domains"),
    (gettext_lazy("New guest"), "vms:new", "plus", "vm.create", "add create install clone import cloud image machine"),
    (gettext_lazy("Operating systems"), "vms:systems", "list-details", "systems.manage", "osinfo presets"),
    (gettext_lazy("Hosts"), "hosts:list", "server-2", "host.view", "hypervisors nodes"),
    (gettext_lazy("Add a host"), "hosts:add", "plus", "host.manage", "new register"),
    (gettext_lazy("Storage"), "hosts:storage", "database", "host.view", "pools disks"),
    (gettext_lazy("Networks"), "hosts:networks", "network", "host.view", "bridges"),
    (gettext_lazy("Operations"), "operations:list", "list-check", "operation.view", "tasks jobs history"),
    (gettext_lazy("Users"), "administration:users", "users", "people.manage", "people accounts administration"),
    (gettext_lazy("Audit"), "administration:audit", "history", "audit.view", "log who"),
    (gettext_lazy("Change password"), "account_change_password", "lock", "host.view", "account"),
)


def _pages(words: list[str], user: User) -> list[Result]:
    found = []
    for label, name, icon, verb, more in PAGES:
        text = f"{label} {more}".lower()
        url = _url(name)
        if url and access.may(user, verb) and all(word in text for word in words):
            found.append({"label": str(label), "url": url, "hint": "", "icon": icon})
    return found


def _url(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""
