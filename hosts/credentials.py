"""Checking certificates and keys that people paste, before they are stored. Raises ValueError with a message for them.

No message ever repeats what was pasted.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from django.utils import timezone
from django.utils.translation import gettext as _

LONGEST = 65536


def tidy(text: str) -> str:
    """Browsers send line ends as CR LF; the files are for libvirt and ssh. Ends with one line end, or is empty."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    return f"{text}\n" if text else ""


def check_certificates(text: str) -> list[x509.Certificate]:
    """Certificates in PEM, all of them valid now."""
    if "PRIVATE KEY" in text:
        raise ValueError(_("This holds a private key. It belongs into its own field, where it is stored encrypted."))
    try:
        found = x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        raise ValueError(_("Not a certificate in PEM: it begins with -----BEGIN CERTIFICATE-----.")) from None
    for certificate in found:
        _check_dates(certificate)
    return found


def _check_dates(certificate: x509.Certificate) -> None:
    now = timezone.now()
    if certificate.not_valid_after_utc < now:
        day = certificate.not_valid_after_utc.date().isoformat()
        raise ValueError(_("The certificate expired on %(day)s.") % {"day": day})
    if certificate.not_valid_before_utc > now:
        day = certificate.not_valid_before_utc.date().isoformat()
        raise ValueError(_("The certificate is valid only from %(day)s; is this machine's clock right?") % {"day": day})


def check_key(text: str) -> PrivateKeyTypes:
    """A private key in PEM without a passphrase."""
    try:
        return load_pem_private_key(text.encode(), password=None)
    except TypeError:
        raise ValueError(
            _("The key is protected by a passphrase; nobody is there to type it. Store one without.")
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(_("Not a private key in PEM: it begins with -----BEGIN PRIVATE KEY-----.")) from None


def check_pair(certificate: str, key: str) -> None:
    """The key belongs to the (first) certificate."""
    public = check_certificates(certificate)[0].public_key()
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if public.public_bytes(*form) != check_key(key).public_key().public_bytes(*form):
        raise ValueError(_("The key does not belong to the client certificate."))


def check_ssh_key(text: str) -> None:
    """A private ssh key without a passphrase."""
    import asyncssh

    try:
        asyncssh.import_private_key(text)
    except asyncssh.KeyEncryptionError:
        raise ValueError(
            _("The key is protected by a passphrase; nobody is there to type it. Store one without.")
        ) from None
    except (asyncssh.KeyImportError, ValueError):
        if text.split(" ", 1)[0].startswith(("ssh-", "ecdsa-")):
            raise ValueError(_("This is the public half. Here goes the private one (~/.ssh/id_ed25519).")) from None
        raise ValueError(_("Not a private ssh key: it begins with -----BEGIN OPENSSH PRIVATE KEY-----.")) from None


def describe(text: str) -> list[dict[str, str]]:
    """Whom stored certificates are for, by whom, and until when; [] where they cannot be read."""
    try:
        found = x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        return []
    return [
        {
            "subject": one.subject.rfc4514_string(),
            "issuer": one.issuer.rfc4514_string(),
            "until": one.not_valid_after_utc.date().isoformat(),
        }
        for one in found
    ]
