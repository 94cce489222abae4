"""The form of a move: where to, by which policy, and what is different from it this time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.models import Host, Network, StoragePool
from vms.form_base import KindForm
from vms.moving import offers
from vms.moving.policies import POLICIES, of_cluster
from vms.moving.saved import names_between
from vms.moving.target import OF_FILES
from vms.moving.wanted import DEFAULTS, MOST_BANDWIDTH, MOST_CONNECTIONS, MOST_PAUSE, MOST_TIMEOUT, NUMBERS
from vms.targets import targets_for

SAME_PATH = "*"
SENDING = [
    "mode", "state_pool", "bandwidth", "connections", "compression", "zero_copy", "tls", "transport",
]  # fmt: skip


class MigrateForm(KindForm):
    """Where to, and how. What is as the policy says is not said again."""

    filled_by_address = ("host", "policy")
    fields_template = "vms/_migrate_fields.html"

    host = forms.ChoiceField(label=gettext_lazy("Move to"), error_messages={"required": gettext_lazy("Choose a host.")})
    policy = forms.ChoiceField(label=gettext_lazy("Policy"), required=False)
    #: the policy whose values the other fields were filled with
    filled_for = forms.CharField(required=False, widget=forms.HiddenInput)
    mode = forms.ChoiceField(
        label=gettext_lazy("How"),
        required=False,
        choices=[
            ("auto", gettext_lazy("live: it runs on meanwhile")),
            ("saved", gettext_lazy("by its saved memory: it stands still until it has arrived")),
        ],
    )
    state_pool = forms.ChoiceField(
        label=gettext_lazy("Its memory is saved in"),
        required=False,
        help_text=gettext_lazy("Only for a move by saved memory: a pool that both hosts see."),
    )
    copy_storage = forms.BooleanField(
        label=gettext_lazy("Copy the disks too"),
        required=False,
        help_text=gettext_lazy(
            "For disks that only the source host can see. Their bytes are sent along, which takes long. libvirt makes the "
            "volumes on the target where a pool lies at the same path."
        ),
    )
    incremental = forms.BooleanField(
        label=gettext_lazy("Copy only the top images"),
        required=False,
        help_text=gettext_lazy("For disks whose backing image the target has at the same path."),
    )
    unsafe = forms.BooleanField(
        label=gettext_lazy("The storage is shared – I know it"),
        required=False,
        help_text=gettext_lazy(
            "Skips libvirt's own check. Only when both hosts see the same disks: otherwise the guest's data is damaged."
        ),
    )
    bandwidth = forms.IntegerField(
        label=gettext_lazy("Bandwidth"),
        required=False,
        min_value=0,
        max_value=MOST_BANDWIDTH,
        help_text=gettext_lazy("How fast it may send, so that other traffic is spared. Empty or 0 is no limit."),
    )
    connections = forms.IntegerField(
        label=gettext_lazy("Connections at once"),
        required=False,
        min_value=0,
        max_value=MOST_CONNECTIONS,
        help_text=gettext_lazy("Multifd: fills links that one connection does not. Empty or 0 is QEMU's usual one."),
    )
    compression = forms.ChoiceField(
        label=gettext_lazy("Compression"),
        required=False,
        help_text=gettext_lazy("Trades processor time for bytes; pays on slow links only."),
    )
    zero_copy = forms.BooleanField(
        label=gettext_lazy("Zero-copy"),
        required=False,
        help_text=gettext_lazy(
            "The kernel sends pages from where they lie. Needs several connections and locked memory."
        ),
    )
    tls = forms.BooleanField(
        label=gettext_lazy("Encrypt it (TLS)"),
        required=False,
        help_text=gettext_lazy("QEMU's own encryption; both hosts need certificates in /etc/pki/qemu."),
    )
    transport = forms.ChoiceField(
        label=gettext_lazy("Who talks to the target"),
        required=False,
        choices=[
            ("auto", gettext_lazy("the source; kvmdash where it cannot reach the target")),
            ("p2p", gettext_lazy("the source (peer to peer)")),
            ("managed", gettext_lazy("kvmdash (client-managed)")),
            ("tunnelled", gettext_lazy("the source, and the memory goes through libvirt too (tunnelled)")),
        ],
    )
    max_downtime = forms.IntegerField(
        label=gettext_lazy("Longest pause"),
        required=False,
        min_value=0,
        max_value=MOST_PAUSE,
        help_text=gettext_lazy(
            "In milliseconds. At the end the guest stands still for the last of its memory. "
            "Empty is QEMU's own 300; more lets busy guests end."
        ),
    )
    auto_converge = forms.BooleanField(
        label=gettext_lazy("Slow the guest down if it must be"),
        required=False,
        help_text=gettext_lazy(
            "Auto-converge: brakes a guest that changes its memory faster than it can be sent, so that the move ends."
        ),
    )
    post_copy = forms.BooleanField(
        label=gettext_lazy("Allow post-copy"),
        required=False,
        help_text=gettext_lazy(
            "While it moves you may have the guest go over at once and fetch the rest of its memory from the source. It cannot be "
            "stopped then, and if one of the hosts is lost in that time, the guest's memory is lost with it."
        ),
    )
    timeout = forms.IntegerField(
        label=gettext_lazy("Give up after"),
        required=False,
        min_value=0,
        max_value=MOST_TIMEOUT,
        help_text=gettext_lazy("What is done then is chosen below. Empty or 0 waits for ever."),
    )
    on_timeout = forms.ChoiceField(
        label=gettext_lazy("Then"),
        required=False,
        choices=[
            ("abort", gettext_lazy("stop the move; the guest runs on where it is")),
            ("suspend", gettext_lazy("pause the guest until it has arrived")),
            ("converge", gettext_lazy("allow a pause of up to a minute")),
            ("post-copy", gettext_lazy("switch to post-copy")),
        ],
    )
    persist = forms.BooleanField(
        label=gettext_lazy("Define it on the target"),
        required=False,
        help_text=gettext_lazy(
            "The target keeps the definition when the guest is off; without it, it is forgotten then."
        ),
    )
    undefine_source = forms.BooleanField(
        label=gettext_lazy("Remove the definition at the source"),
        required=False,
        help_text=gettext_lazy("So that nobody starts the old copy by mistake. Disks are not touched."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        initial = kwargs.setdefault("initial", {})
        policy = POLICIES.get(str(initial.get("policy") or "")) or of_cluster()
        kwargs["initial"] = {**DEFAULTS, **policy.values, **initial, "policy": policy.name, "filled_for": policy.name}
        super().__init__(*args, **kwargs)
        self.targets = targets_for(self.vms)
        self.fitting = [target.host.name for target in self.targets if not target.reason]
        self._choices("host", [(name, name) for name in self.fitting])
        self._choices("policy", [(one.name, one.label) for one in POLICIES.values()])
        self.policies = list(POLICIES.values())
        self.is_off = bool(self.vms) and all(vm.power_state == vm.PowerState.SHUTOFF for vm in self.vms)
        self._offer()
        self.disk_fields = self._add_disks()
        self.network_fields = self._add_networks()

    def _choices(self, name: str, choices: list[tuple[str, Any]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def _sources(self) -> list[Host]:
        return [vm.host for vm in self.vms if vm.host is not None]

    def _offer(self) -> None:
        """Only what the source and at least one of the targets can do."""
        for option in ("connections", "zero_copy", "post_copy", "tls"):
            if not self._is_offered(option):
                del self.fields[option]
        known = [one for one in ("xbzrle", "mt", "zlib", "zstd") if self._is_offered(one)]
        self._choices("compression", [("", _("none")), *[(one, one) for one in known]])
        sources = {source.pk for source in self._sources()}
        pools = names_between(sources, {target.host.pk for target in self.targets if not target.reason})
        self._choices("state_pool", [("", _("the one with the most room")), *[(name, name) for name in sorted(pools)]])
        if not pools or self.is_off:
            del self.fields["mode"], self.fields["state_pool"]

    def _is_offered(self, option: str) -> bool:
        ends = [target.host for target in self.targets if not target.reason]
        return any(not offers.why_not(option, [*self._sources(), target]) for target in ends) or not ends

    def _add_disks(self) -> list[str]:
        """A choice for each disk that lies in a file; of one guest that runs only."""
        if len(self.vms) != 1 or self.is_off:
            return []
        pools = StoragePool.objects.filter(
            host__name__in=self.fitting, active=True, absent_since=None, type__in=OF_FILES
        )
        names = sorted(set(pools.values_list("name", flat=True)))
        choices = [("", _("not copied")), (SAME_PATH, _("copied to the same path"))]
        choices += [(name, _("copied to pool %(name)s") % {"name": name}) for name in names]
        targets = [str(disk["target"]) for disk in self.vms[0].disks if _is_movable(disk)]
        return [self._add(f"disk-{target}", target, choices) for target in targets]

    def _add_networks(self) -> list[str]:
        """What each network and bridge of the guests is called on the target."""
        mine = sorted({str(nic["source"]) for vm in self.vms for nic in vm.nics if _is_named(nic)})
        others = Network.objects.filter(host__name__in=self.fitting, absent_since=None, active=True)
        names = sorted(set(others.values_list("name", flat=True)))
        return [
            self._add(
                f"network-{name}",
                name,
                [("", _("the same name")), *[(other, other) for other in names if other != name]],
            )
            for name in mine
        ]

    def _add(self, key: str, label: str, choices: Iterable[tuple[str, Any]]) -> str:
        self.fields[key] = forms.ChoiceField(label=label, required=False, choices=list(choices))
        return key

    @property
    def chosen(self) -> str:
        """The host that is ticked: as sent, else the only one there is."""
        return str(self["host"].value() or (self.fitting[0] if len(self.fitting) == 1 else ""))

    def of(self, *names: str) -> list[forms.BoundField]:
        """The fields of these names that are offered."""
        return [self[name] for name in names if name in self.fields]

    @property
    def groups(self) -> list[dict[str, Any]]:
        """The fields besides the host and the policy, under headings; ``open`` where something in them was said or is wrong."""
        parts = [
            ("storage", _("Disks"), ["copy_storage", "incremental", "unsafe", *self.disk_fields]),
            ("networks", _("Networks on the target"), self.network_fields),
            ("sending", _("How it is sent"), SENDING),
            ("end", _("How it ends"), ["max_downtime", "auto_converge", "post_copy", "timeout", "on_timeout"]),
            ("after", _("Afterwards"), ["persist", "undefine_source"]),
        ]
        if self.is_off:
            parts = [part for part in parts if part[0] in ("networks", "after")]
            parts.insert(0, ("storage", _("Disks"), ["unsafe"]))
        return [
            {"key": key, "label": label, "fields": fields, "open": any(field.errors for field in fields)}
            for key, label, names in parts
            if (fields := self.of(*names))
        ]

    def arguments(self) -> dict[str, Any]:
        data = self.cleaned_data
        policy = POLICIES.get(data.get("filled_for") or "") or of_cluster()
        filled = {**DEFAULTS, **policy.values}
        values = {name: _said(name, data[name]) for name in DEFAULTS if name in data}
        said = {name: value for name, value in values.items() if value != filled[name]}
        tables = {
            "disks": {name.removeprefix("disk-"): data[name].removeprefix(SAME_PATH) for name in self.disk_fields if data[name]},
            "networks": {name.removeprefix("network-"): data[name] for name in self.network_fields if data[name]},
            "state_pool": data.get("state_pool", ""),
        }  # fmt: skip
        return {
            "host": data["host"],
            "policy": data.get("policy") or policy.name,
            **said,
            **{name: value for name, value in tables.items() if value},
        }


def _said(name: str, value: Any) -> Any:
    return (value or 0) if name in NUMBERS else value or DEFAULTS[name] if isinstance(value, str) else value


def _is_movable(disk: dict[str, Any]) -> bool:
    return bool(
        disk.get("type") == "file" and disk.get("device") == "disk" and disk.get("source") and disk.get("target")
    )


def _is_named(nic: dict[str, Any]) -> bool:
    return bool(nic.get("type") in ("network", "bridge") and nic.get("source"))
