"""What the API's changes of networks take, made from the tables of kinds and sections, so that each says what it needs."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Union

from ninja import Field
from pydantic import ConfigDict, RootModel, create_model

from hosts.api_schemas import Body
from hosts.api_storage_bodies import Name, between
from hosts.network_fields import FLAGS, LEAST_TAG, LISTS, MOST_LISTED, MOST_TAG, NUMBERS
from hosts.network_labels import LABELS
from hosts.network_modes import MACVTAP_MODES, MODES, Mode
from hosts.network_names import PATTERNS
from hosts.network_updates import SECTIONS, Section
from hosts.operations.network_update import LONGEST_TEXT

#: field → the pattern of hosts.network_names that it, or each of its list, must have
LIKE = {
    "bridge": "device", "forward_dev": "device", "pf": "device", "device": "device", "devices": "device",
    "domain": "domain", "txt": "domain", "ipv4": "ipv4_network", "ipv6": "ipv6_network",
    "nat_start": "ipv4", "nat_end": "ipv4", "ipv4_ranges": "ipv4_range", "ipv6_ranges": "ipv6_range",
    "ipv4_hosts": "ipv4_host", "ipv6_hosts": "ipv6_host", "dns_forwarders": "address", "dns_hosts": "dns_host",
    "record": "dns_host", "pci": "pci",
}  # fmt: skip
#: of either family
BOTH = {"lease": ("ipv4_host", "ipv6_host"), "range": ("ipv4_range", "ipv6_range")}


def _pattern(name: str) -> str:
    names = BOTH.get(name) or (LIKE[name],)
    return f"^(?:{'|'.join(PATTERNS[one] for one in names)})$"


def _type(name: str, needed: bool) -> Any:
    if name in (*FLAGS, "default"):
        return bool
    if name in NUMBERS:
        return between(*NUMBERS[name])
    if name == "vlans":
        return Annotated[list[between(LEAST_TAG, MOST_TAG)], Field(max_length=MOST_LISTED)]  # type: ignore[misc]
    if name == "macvtap_mode":
        return Literal[MACVTAP_MODES]
    if name == "portgroup":
        return Name
    if name == "value":
        return Annotated[str, Field(max_length=LONGEST_TEXT, pattern=r"^[ -~]*$")]
    text = Annotated[str, Field(pattern=_pattern(name), max_length=2000)]
    return Annotated[list[text], Field(min_length=int(needed), max_length=MOST_LISTED)] if name in LISTS else text


def _field(name: str, needed: bool) -> tuple[Any, Any]:
    """Annotation and default of one field."""
    hint = _type(name, needed)
    words = str(LABELS[name][1] or LABELS[name][0])
    return (hint if needed else hint | None, Field(... if needed else None, description=words))


def _fields(mode: Mode) -> dict[str, Any]:
    found: dict[str, Any] = {"mode": (Literal[mode.name], ...)}
    return found | {name: _field(name, name in mode.required) for name in mode.fields}


def _define_body(mode: Mode) -> type[Body]:
    fields = _fields(mode) | {"name": (Name, ...)} | dict.fromkeys(("start", "autostart"), (bool, False))
    name = f"Network{mode.name.capitalize()}Body"
    return create_model(name, __base__=Body, __doc__=f"{mode.label}: {mode.hint}", **fields)


def _edit_body(mode: Mode) -> type[Body]:
    fields = _fields(mode)
    words = "The network's `mark`, to change it only if nobody else did meanwhile."
    fields["base"] = (str, Field("", pattern=r"^(?:[0-9a-f]{32})?$", description=words))
    fields["live"] = (bool, Field(True, description="Change at once what can be."))
    return create_model(f"EditNetwork{mode.name.capitalize()}Body", __base__=Body, __doc__=str(mode.label), **fields)


def _update_body(section: Section) -> type[Body]:
    fields: dict[str, Any] = {"section": (Literal[section.name], ...), "command": (Literal[section.commands], ...)}
    fields |= {name: _field(name, name == section.key) for name in section.fields}
    title = "".join(part.capitalize() for part in section.name.split("-"))
    return create_model(f"Update{title}Body", __base__=Body, __doc__=str(section.label), **fields)


_DEFINE = tuple(_define_body(mode) for mode in MODES.values())
_EDIT = tuple(_edit_body(mode) for mode in MODES.values())
_UPDATE = tuple(_update_body(section) for section in SECTIONS.values())


class NetworkDefineBody(RootModel[Annotated[Union[_DEFINE], Field(discriminator="mode")]]):  # type: ignore[valid-type]  # noqa: UP007
    """A network; what else there is depends on its mode."""


class NetworkEditBody(RootModel[Annotated[Union[_EDIT], Field(discriminator="mode")]]):  # type: ignore[valid-type]  # noqa: UP007
    """All of a network's fields; what is left out is taken away."""


class NetworkUpdateBody(RootModel[Annotated[Union[_UPDATE], Field(discriminator="section")]]):  # type: ignore[valid-type]  # noqa: UP007
    """One element of a section."""


class NetworkAutostartBody(Body):
    """Whether it starts with the host."""

    model_config = ConfigDict(**Body.model_config)

    enabled: bool = True


class NetworkConfirmBody(Body):
    """Taking a network away."""

    confirm: str = Field("", max_length=255, description="Its name, where guests are connected to it.")
