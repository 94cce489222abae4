"""The lab's own certificate authority, ssh keys and SASL password file."""

from __future__ import annotations

import os
import secrets
import subprocess
from pathlib import Path

from lab.commands import run
from lab.errors import LabError
from lab.install import unpacked_directory

DAYS = "3650"
SASL_USER = "lab"


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read, never readable for a moment in between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    partial.rename(path)


def new_password() -> str:
    """Eight characters: a VNC password cannot be longer."""
    return secrets.token_hex(4)


def new_key(path: Path) -> None:
    """A private key for a certificate; elliptic, because that takes no time to make."""
    run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path])
    path.chmod(0o600)


def make_authority(directory: Path) -> None:
    """CA key and certificate."""
    directory.mkdir(parents=True, exist_ok=True)
    new_key(directory / "cakey.pem")
    subject = ["-subj", "/CN=lab authority", "-days", DAYS]
    use = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    # Without -config the machine's own openssl.cnf would add extensions of its own a second time.
    empty = directory / "openssl.cnf"
    empty.write_text("[req]\ndistinguished_name = dn\n[dn]\n")
    key = ["-key", str(directory / "cakey.pem"), "-out", str(directory / "cacert.pem")]
    run(["openssl", "req", "-new", "-x509", "-config", empty, *key, *subject, *use])


def issue(authority: Path, directory: Path, role: str, name: str, alternatives: str = "") -> None:
    """A key and a certificate ("server" or "client") in the files libvirt looks for."""
    directory.mkdir(parents=True, exist_ok=True)
    key, request = directory / f"{role}key.pem", directory / f"{role}.csr"
    new_key(key)
    run(
        [
            "openssl",
            "req",
            "-new",
            "-config",
            authority / "openssl.cnf",
            "-key",
            key,
            "-subj",
            f"/CN={name}",
            "-out",
            request,
        ]
    )
    extensions = directory / f"{role}.ext"
    # libvirt refuses a certificate without keyEncipherment, though an elliptic key never uses it.
    usage = "keyUsage=critical,digitalSignature,keyEncipherment"
    lines = ["basicConstraints=critical,CA:FALSE", usage, f"extendedKeyUsage={role}Auth"]
    if alternatives:
        lines.append(f"subjectAltName={alternatives}")
    extensions.write_text("\n".join(lines) + "\n")
    signer = ["-CA", str(authority / "cacert.pem"), "-CAkey", str(authority / "cakey.pem")]
    signer += ["-set_serial", f"0x{secrets.token_hex(8)}"]
    result = ["-days", DAYS, "-extfile", str(extensions), "-out", str(directory / f"{role}cert.pem")]
    run(["openssl", "x509", "-req", "-in", request, *signer, *result])
    (directory / "cacert.pem").write_bytes((authority / "cacert.pem").read_bytes())
    request.unlink()
    extensions.unlink()


def issue_for_qemu(authority: Path, directory: Path, name: str, alternatives: str) -> None:
    """Both certificates of a host in the files that QEMU looks for, for memory that is sent encrypted."""
    for role in ("server", "client"):
        issue(authority, directory, role, name, alternatives)
        for part in ("cert", "key"):
            (directory / f"{role}{part}.pem").rename(directory / f"{role}-{part}.pem")
    (directory / "cacert.pem").rename(directory / "ca-cert.pem")


def make_ssh_key(path: Path, comment: str) -> str:
    """A key pair without a passphrase; returns the public half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path])
    kind, key = path.with_suffix(".pub").read_text().split()[:2]
    return f"{kind} {key}"


def make_sasl_database(path: Path, realm: str, password: str) -> None:
    """The password file that libvirtd reads; its realm is the host's own name, which libvirtd gives as its realm."""
    program = unpacked_directory() / "sasl2-bin" / "usr" / "sbin" / "saslpasswd2"
    done = subprocess.run(
        [program, "-p", "-c", "-a", "libvirt", "-u", realm, "-f", path, SASL_USER],
        input=password,
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise LabError(f"saslpasswd2 ended with {done.returncode}: {done.stderr.strip()}")
    path.chmod(0o600)
