"""What can go wrong at a hypervisor, in our words. libvirt's own exceptions never cross this boundary.

Every error carries libvirt's code and domain numbers (0 where it did not come from libvirt), libvirt's own words in ``detail``
and a plain sentence in ``str(error)``.
"""

from __future__ import annotations

from typing import ClassVar


class HypervisorError(Exception):
    """Base of all; never raised itself."""

    #: the Host.State value that this error means while connecting
    host_state: ClassVar[str] = "failed"

    def __init__(self, message: str, *, code: int = 0, domain: int = 0, detail: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.domain = domain
        self.detail = detail or message

    def as_dict(self) -> dict[str, object]:
        """Plain data for Operation.error."""
        return {
            "type": type(self).__name__,
            "message": str(self),
            "code": self.code,
            "domain": self.domain,
            "detail": self.detail,
        }


class Unreachable(HypervisorError):
    """The host did not answer, or the connection to it is gone."""

    host_state = "unreachable"


class Refused(Unreachable):
    """The machine is there and nothing listens on that port."""

    host_state = "refused"


class Silent(Unreachable):
    """Connected, but no answer within the deadline: the daemon hangs."""

    host_state = "silent"


class AuthenticationFailed(HypervisorError):
    """The host wants a password, a certificate or a key that we do not have, or does not take ours."""

    host_state = "auth"


class HostKeyUntrusted(HypervisorError):
    """The ssh host key is unknown, or is not the one this host is pinned to."""

    host_state = "hostkey"


class CertificateUntrusted(HypervisorError):
    """The host's TLS certificate was not signed by the CA we trust, or names another host."""

    host_state = "certificate"


class NotFound(HypervisorError):
    """The object is not there."""


class Conflict(HypervisorError):
    """The object's state does not allow it, or something else is being done to it."""


class Unsupported(HypervisorError):
    """This hypervisor cannot do it."""


class Failed(HypervisorError):
    """Everything else: tried, and it did not work."""


class InvalidUri(ValueError):
    """Not a libvirt URI we accept; the message says why."""
