"""What the guest's cards are plugged into, by name, on the target; and the road between the two hosts."""

from __future__ import annotations

from vms.moving.preflight.facts import Card, Guest, Hosts, Machine
from vms.moving.preflight.finding import Finding, no, ok, sentence, unknown, warning, worst

HERE = ok(sentence("It is already there."))
BY_TLS = sentence(
    "Nobody has moved from %(source)s to %(host)s yet: "
    "%(source)s needs a client certificate for %(peer)s, and ports 16514 and 49152–49215 open."
)
BY_PEER = sentence(
    "Nobody has moved from %(source)s to %(host)s yet: "
    "whether %(source)s reaches %(peer)s and ports 49152–49215 is not known."
)


def needs(guest: Guest) -> tuple[Card, ...]:
    """Its cards."""
    return guest.cards


def networks(cards: tuple[Card, ...], host: Machine, _hosts: Hosts) -> Finding:
    """The worst of the cards."""
    found = [finding for card in cards for finding in (_card(card, host), *_filter(card, host))]
    return worst(found, ok(sentence("It has no network cards.")))


def _card(card: Card, host: Machine) -> Finding:
    words = {"name": card.source, "host": host.name, "group": card.portgroup, "type": card.type}
    if card.type == "network":
        return _network(card, host, words)
    if card.type == "bridge":
        return _device(host.bridges, card.source, sentence("%(host)s has the bridge %(name)s."),
                       sentence("%(host)s has no bridge %(name)s."), host, words)  # fmt: skip
    if card.type == "direct":
        return _device(host.devices, card.source, sentence("%(host)s has the device %(name)s."),
                       sentence("%(host)s has no network device %(name)s."), host, words)  # fmt: skip
    if card.type == "user":
        return ok(sentence("Its network is QEMU's own."))
    if card.type == "hostdev":
        return no(sentence("A network card of the host is handed through to it."), sentence("Detach it first."))
    return unknown(
        sentence("Whether a card of type %(type)s finds its other end on %(host)s is not known."), "", **words
    )


def _network(card: Card, host: Machine, words: dict[str, str]) -> Finding:
    if not host.told:
        return unknown(sentence("%(host)s has not told its networks."), "", **words)
    known = host.networks.get(card.source)
    if known is None:
        mend = sentence("Make the network there, or plug the card into another one.")
        return no(sentence("%(host)s has no network %(name)s."), mend, **words)
    active, groups = known
    if not active:
        return no(sentence("The network %(name)s is off on %(host)s."), sentence("Start it there."), **words)
    if card.portgroup and card.portgroup not in groups:
        text = sentence("The network %(name)s on %(host)s has no port group %(group)s.")
        return warning(text, sentence("Add the port group there."), **words)
    return ok(sentence("%(host)s has the network %(name)s."), **words)


def _device(
    known: frozenset[str] | None, name: str, there: str, missing: str, host: Machine, words: dict[str, str]
) -> Finding:
    if known is None:
        return unknown(sentence("Which bridges and devices %(host)s has is not known; it needs %(name)s."), "", **words)
    if name in known:
        return ok(there, **words)
    return no(missing, sentence("Make it there under that name."), **words)


def _filter(card: Card, host: Machine) -> list[Finding]:
    if not card.filter or card.filter in host.filters:
        return []
    words = {"name": card.filter, "host": host.name}
    if not host.told:
        return [unknown(sentence("%(host)s has not told its network filters."), "", **words)]
    return [no(sentence("%(host)s has no network filter %(name)s."), sentence("Define the filter there."), **words)]


def road_needs(guest: Guest) -> int | None:
    """Where it is now."""
    return guest.host


def road(source_id: int | None, host: Machine, hosts: Hosts) -> Finding:
    """Ports and certificates between the two hosts are known only from moves that went well."""
    source = hosts.get(source_id) if source_id is not None else None
    words = {"host": host.name, "source": source.name if source is not None else "?", "peer": host.peer}
    if source_id == host.id:
        return HERE
    if source_id is not None and source_id in host.reached_from:
        return ok(sentence("A guest has moved from %(source)s to %(host)s before."), **words)
    if not host.peer:
        text = sentence("%(host)s has no address under which other hosts reach it.")
        return warning(text, sentence("Give it a peer URI."), **words)
    text = BY_TLS if host.peer.startswith("qemu+tls") else BY_PEER
    return unknown(text, sentence("Try with a guest that matters little."), **words)
