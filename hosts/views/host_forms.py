"""Adding, changing, testing and removing hosts: administrators only."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from hosts import access, changes, probe
from hosts.access import Denied
from hosts.forms import HostForm, RemoveForm
from hosts.hypervisor.errors import HypervisorError, InvalidUri
from hosts.hypervisor.uri import parse
from hosts.models import Host
from hosts.operations import queue
from hosts.operations.kind import Refused
from hosts.requests import actor_of, user_of
from hosts.said import said
from hosts.views import answers
from hosts.views.hosts import host_or_404, tab_url

sensitive = sensitive_post_parameters("sasl_password", "tls_key", "ssh_key")
#: seconds for one look at a host's ssh keys, while somebody waits for the page
KEY_SECONDS = 5.0


@sensitive
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """A new host. “Save and test” keeps it disabled until its test passes."""
    return _edit(request, None)


@sensitive
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, name: str) -> HttpResponse:
    """How a host is reached."""
    return _edit(request, host_or_404(request, name))


def _edit(request: HttpRequest, host: Host | None) -> HttpResponse:
    if (denied := _denied(request)) is not None:
        return denied
    if request.method != "POST":
        return _form(request, HostForm(host=host), 200)
    form = HostForm(request.POST, host=host)
    if not form.is_valid():
        return _form(request, form, 422)
    testing = request.POST.get("then") == "test"
    changed = form.apply()
    if host is None:
        form.host.enabled = not testing
    changes.save(form.host, actor_of(request), changed)
    if testing:
        return _test(request, form.host, enable=host is None)
    return HttpResponseRedirect(form.host.get_absolute_url())


def _form(request: HttpRequest, form: HostForm, status: int) -> HttpResponse:
    host = form.host if form.host.pk is not None else None
    if host is not None:
        # The row as stored: a form with errors must not rename the page it stands on.
        host = Host.objects.get(pk=host.pk)
    context = {
        "form": form,
        "host": host,
        "stored": form.stored(),
        "keys": _listed(form.pins, [], form.host),
        "nav": "hosts",
    }
    return render(request, "hosts/form.html", context, status=status)


def _denied(request: HttpRequest) -> HttpResponse | None:
    if access.may(user_of(request), changes.VERB):
        return None
    return answers.refused(request, Denied(_("Only administrators change hosts.")), nav="hosts")


@require_POST
def keys(request: HttpRequest, name: str = "") -> HttpResponse:
    """Fetches the ssh host keys of the address in the form and shows their fingerprints, to be confirmed."""
    if (denied := _denied(request)) is not None:
        return denied
    host = host_or_404(request, name) if name else Host()
    context: dict[str, Any] = {"fetched": True, "host": host}
    form = HostForm(request.POST, host=host if name else None)
    form.is_valid()
    shown: list[probe.HostKey] = []
    try:
        uri = parse(str(form.cleaned_data.get("uri") or ""), allow_test=False)
        if uri.transport != "ssh" or uri.effective_port is None:
            raise InvalidUri(_("Only hosts reached by ssh have an ssh host key."))
        context["where"] = f"{uri.host}:{uri.effective_port}"
        shown = probe.fetch_host_keys(uri.host, uri.effective_port, KEY_SECONDS)
    except InvalidUri as error:
        address_error = form.errors.get("address") or form.errors.get("uri")
        context["error"] = address_error[0] if address_error else said(str(error))
    except HypervisorError as error:
        context["error"], context["detail"] = said(str(error)), error.detail
    context["keys"] = _listed(form.pins, shown, host)
    context["changed"] = any(key["state"] == "changed" for key in context["keys"])
    return render(request, "hosts/_keys.html", context)


def _listed(pins: list[str], shown: list[probe.HostKey], host: Host) -> list[dict[str, Any]]:
    """Keys with their fingerprints: those stored or ticked, and those the host shows now."""
    pinned = {key.line: key for key in probe.pinned_keys("\n".join(pins))}
    stored = {" ".join(line.split()[:2]) for line in host.ssh_host_key.splitlines()}
    stored_types = {line.partition(" ")[0] for line in stored}
    fresh = {key.line: key for key in shown}
    rows = []
    for line, key in (pinned | fresh).items():
        state = "pinned" if line in pinned else "new"
        if shown and line in pinned and line not in fresh:
            state = "gone"
        elif line in fresh and line not in stored and key.type in stored_types:
            state = "changed"
        rows.append(
            {"line": line, "type": key.type, "fingerprint": key.fingerprint, "state": state, "on": line in pinned}
        )
    return rows


@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: HttpRequest, name: str) -> HttpResponse:
    """Forget a host, once its name is typed."""
    if (denied := _denied(request)) is not None:
        return denied
    host = host_or_404(request, name)
    form = RemoveForm(request.POST if request.method == "POST" else None, host=host)
    if request.method == "POST" and form.is_valid():
        changes.remove(host, actor_of(request))
        text = _("%(name)s is removed from kvmdash. Nothing was changed on it.") % {"name": name}
        return answers.done(request, text, reverse("hosts:list"))
    guests = access.visible_to(user_of(request), host.vms.filter(absent_since=None)).count()
    context = {"host": host, "form": form, "guests": guests, "nav": "hosts"}
    return render(request, "hosts/remove.html", context, status=422 if form.errors else 200)


@require_POST
def act(request: HttpRequest, name: str, verb: str) -> HttpResponse:
    """Refresh, test, enable, disable."""
    host = host_or_404(request, name)
    try:
        if verb == "refresh":
            queue.enqueue("host-refresh", host, {}, actor_of(request))
            return answers.done(
                request, _("%(name)s is being read again.") % {"name": name}, host.get_absolute_url(), level="info"
            )
        if verb == "test":
            return _test(request, host, enable=False)
        if verb not in ("enable", "disable"):
            raise Http404
        changes.set_enabled(host, actor_of(request), enabled=verb == "enable")
    except (Denied, Refused) as error:
        return answers.refused(request, error, nav="hosts")
    words = _("%(name)s is enabled.") if verb == "enable" else _("%(name)s is disabled.")
    return answers.done(request, words % {"name": name}, host.get_absolute_url())


def _test(request: HttpRequest, host: Host, *, enable: bool) -> HttpResponse:
    """Ask for a test, and go where its steps are shown."""
    operation = queue.enqueue("host-test", host, {"enable": True} if enable else {}, actor_of(request))
    # The query makes it another address: the same one with another fragment would not be read again.
    url = f"{tab_url(host, 'settings')}?test={operation.pk}#host-test"
    if answers.is_htmx(request):
        return HttpResponse(status=204, headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)
