"""What to try when a host is not connected, for people who meet it the first time."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy

from hosts.models import Host

State = Host.State

ADVICE: dict[str, Any] = {
    State.CONNECTING: gettext_lazy(
        "The first answer takes a few seconds. If it stays like this, run “Test connection”."
    ),
    State.UNREACHABLE: gettext_lazy(
        "Is the machine switched on and in the network? Does its name resolve here, and does a firewall let the port through? "
        "kvmdash keeps trying by itself."
    ),
    State.REFUSED: gettext_lazy(
        "The machine is there and nothing listens on that port. Start libvirtd or its socket on the host "
        "(systemctl status libvirtd; for TLS: libvirtd-tls.socket) or sshd, or correct the port."
    ),
    State.AUTH: gettext_lazy(
        "Check the user name, the SASL password, the ssh key or the client certificate in this host's settings, and that the "
        "user may use libvirt on the host (group libvirt)."
    ),
    State.HOSTKEY: gettext_lazy(
        "Open the settings and fetch the host's key. Pin it only if its fingerprint is the one the host's own console shows: "
        "a key that changed without a reason may be somebody in between."
    ),
    State.CERTIFICATE: gettext_lazy(
        "The CA certificate in the settings must be the one that signed the host's certificate, and the certificate must name "
        "the host as the URI does. Look at its expiry too."
    ),
    State.SILENT: gettext_lazy(
        "The connection stands and libvirtd does not answer: it may hang, often on storage that is away. Look at its log on the "
        "host (journalctl -u libvirtd); its guests go on running while it is restarted. "
        "By ssh, a start-up file of the account (.bashrc) that waits for something does the same."
    ),
    State.FAILED: gettext_lazy("“Test connection” tells which step fails."),
    State.DISABLED: gettext_lazy(
        "It is not contacted. Its guests go on running and are shown as last seen. Enable it to go on."
    ),
}
