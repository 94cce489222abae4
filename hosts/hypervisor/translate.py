"""libvirt's errors in our words. The only place that reads libvirt's messages, where codes do not tell cases apart."""

from __future__ import annotations

import libvirt

from hosts.hypervisor import errors
from hosts.hypervisor.sentences import say


def _codes(*names: str) -> frozenset[int]:
    """The numbers of those constants that this libvirt has."""
    return frozenset(getattr(libvirt, name) for name in names if hasattr(libvirt, name))


AUTHENTICATION = _codes("VIR_ERR_AUTH_FAILED", "VIR_ERR_AUTH_CANCELLED", "VIR_ERR_AUTH_UNAVAILABLE")
NOT_FOUND = _codes(
    "VIR_ERR_NO_DOMAIN", "VIR_ERR_NO_NETWORK", "VIR_ERR_NO_STORAGE_POOL", "VIR_ERR_NO_STORAGE_VOL",
    "VIR_ERR_NO_NODE_DEVICE", "VIR_ERR_NO_SECRET", "VIR_ERR_NO_DOMAIN_SNAPSHOT", "VIR_ERR_NO_DOMAIN_METADATA",
    "VIR_ERR_NO_NWFILTER",
)  # fmt: skip
CONFLICT = _codes(
    "VIR_ERR_OPERATION_INVALID", "VIR_ERR_OPERATION_TIMEOUT", "VIR_ERR_DOM_EXIST", "VIR_ERR_NETWORK_EXIST",
    "VIR_ERR_BLOCK_COPY_ACTIVE", "VIR_ERR_RESOURCE_BUSY", "VIR_ERR_AGENT_UNRESPONSIVE",
)  # fmt: skip
UNSUPPORTED = _codes(
    "VIR_ERR_NO_SUPPORT", "VIR_ERR_ARGUMENT_UNSUPPORTED", "VIR_ERR_CONFIG_UNSUPPORTED",
    "VIR_ERR_OPERATION_UNSUPPORTED", "VIR_ERR_AGENT_UNSYNCED",
)  # fmt: skip
LOST = _codes("VIR_ERR_NO_CONNECT", "VIR_ERR_INVALID_CONN")
WIRE = _codes("VIR_ERR_SYSTEM_ERROR", "VIR_ERR_RPC", "VIR_ERR_INTERNAL_ERROR", "VIR_ERR_GNUTLS_ERROR")
FROM_WIRE = _codes("VIR_FROM_RPC", "VIR_FROM_REMOTE", "VIR_FROM_SSH", "VIR_FROM_LIBSSH", "VIR_FROM_STREAMS")


def translate(error: libvirt.libvirtError) -> errors.HypervisorError:
    """The error of ours that ``error`` means."""
    code, domain = error.get_error_code() or 0, error.get_error_domain() or 0
    text = error.get_error_message() or str(error)
    kind, message = _meaning(code, domain, text)
    return kind(message, code=code, domain=domain, detail=text)


def _meaning(code: int, domain: int, text: str) -> tuple[type[errors.HypervisorError], str]:
    lower = text.lower()
    if "host key verification failed" in lower:
        return errors.HostKeyUntrusted, say("The ssh host key is not the one this host is pinned to.")
    if "connect socket to" in lower and code in WIRE:
        # The daemon's own socket, on this machine or behind ssh: what carries us there works.
        if "permission denied" in lower:
            return errors.AuthenticationFailed, say(
                "The account may not use libvirt on the host: is it in the group libvirt?"
            )
        return errors.Refused, say(
            "The machine is reached, and nothing listens on its libvirt socket: is libvirtd running?"
        )
    if "permission denied" in lower and domain in FROM_WIRE:
        return errors.AuthenticationFailed, say("ssh did not accept the key.")
    if "certificate" in lower and (domain in FROM_WIRE or code in WIRE):
        return errors.CertificateUntrusted, say("The TLS certificate was not accepted.")
    if "no more available pci slots" in lower:
        return errors.Failed, say(
            "The guest has no free PCI slot. A q35 machine takes a new device on a free pcie-root-port only: "
            "add such controllers, which come with its next boot."
        )
    if code in AUTHENTICATION:
        return errors.AuthenticationFailed, say("The host wants a user name and a password, or does not accept these.")
    if code in NOT_FOUND:
        return errors.NotFound, say("It is not there: %(what)s", what=text)
    if code in LOST or (code in WIRE and domain in FROM_WIRE):
        return errors.Unreachable, say("The connection to the host was lost or could not be made.")
    if code in CONFLICT:
        return errors.Conflict, say("Not possible in its present state: %(what)s", what=text)
    if code in UNSUPPORTED:
        return errors.Unsupported, say("This host cannot do that: %(what)s", what=text)
    return errors.Failed, text[:1].upper() + text[1:]
