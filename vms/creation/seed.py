"""What cloud-init is told at the first boot: a NoCloud seed, as a small CD image."""

from __future__ import annotations

import io
import ipaddress
import re
from typing import Any

import pycdlib
import yaml
from django.utils.translation import gettext as _
from passlib.hash import sha512_crypt

LABEL = "cidata"
HEAD = "#cloud-config"
#: characters of user-data; a seed is small
MOST_USER_DATA = 256 * 1024
MOST_PASSWORD = 1000
USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}\Z")
HOSTNAME = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\Z"
)
PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_:~-]{0,100}\Z")
_KINDS = r"ssh-(?:ed25519|rsa|dss)|ecdsa-sha2-nistp(?:256|384|521)|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com"
KEY = re.compile(rf"(?:{_KINDS}) [A-Za-z0-9+/]{{40,}}={{0,3}}(?: [^\n\r]{{0,200}})?\Z")


def hashed(password: str) -> str:
    """The password as a guest keeps it (SHA-512 crypt): nobody needs to know it in plain."""
    return str(sha512_crypt.using(rounds=10_000).hash(password))


def checked_user_data(text: str) -> str:
    """User-data that somebody wrote. Raises ValueError when cloud-init would not take it as what it says it is."""
    if len(text) > MOST_USER_DATA:
        raise ValueError(_("At most %(most)d characters.") % {"most": MOST_USER_DATA})
    tidy = text.replace("\r\n", "\n").strip() + "\n"
    if tidy.partition("\n")[0].strip() != HEAD:
        raise ValueError(_("Its first line must be #cloud-config."))
    try:
        found = yaml.safe_load(tidy)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = where.line + 1 if where is not None else 0
        raise ValueError(
            _("This is no YAML, line %(line)s: %(why)s.")
            % {"line": line, "why": getattr(error, "problem", "") or error}
        ) from None
    except RecursionError:
        raise ValueError(_("It is nested too deeply.")) from None
    if not isinstance(found, dict):
        raise ValueError(_("It must be names with values, such as “packages:” with a list below."))
    return tidy


def user_data(asked: dict[str, Any], secrets: dict[str, str]) -> str:
    """The document that cloud-init calls user-data. ``secrets``: password_hash, user_data (raw, which then is all)."""
    if secrets.get("user_data"):
        return secrets["user_data"]
    document: dict[str, Any] = {"hostname": asked["hostname"], "manage_etc_hosts": True}
    if asked.get("user"):
        user: dict[str, Any] = {"name": asked["user"], "shell": "/bin/bash", "sudo": "ALL=(ALL) NOPASSWD:ALL"}
        user["lock_passwd"] = not secrets.get("password_hash")
        if secrets.get("password_hash"):
            user["passwd"] = secrets["password_hash"]
        if asked.get("ssh_keys"):
            user["ssh_authorized_keys"] = list(asked["ssh_keys"])
        document["users"] = [user]
    elif asked.get("ssh_keys"):
        document["ssh_authorized_keys"] = list(asked["ssh_keys"])
    if secrets.get("password_hash"):
        document["ssh_pwauth"] = True
    if asked.get("packages"):
        document |= {"package_update": True, "packages": list(asked["packages"])}
    return f"{HEAD}\n{_dumped(document)}"


def meta_data(identity: str, hostname: str) -> str:
    """Who the guest is: cloud-init does its work anew when the id is another."""
    return _dumped({"instance-id": identity, "local-hostname": hostname})


def network_config(mac: str, asked: dict[str, Any]) -> str:
    """Netplan's version 2: one card, by its MAC address."""
    card: dict[str, Any] = {"match": {"macaddress": mac}, "set-name": "eth0"}
    if asked.get("address"):
        card |= {"addresses": [asked["address"]], "dhcp4": False}
        if asked.get("gateway"):
            to = "0.0.0.0/0" if ipaddress.ip_address(asked["gateway"]).version == 4 else "::/0"
            card["routes"] = [{"to": to, "via": asked["gateway"]}]
        if asked.get("dns"):
            card["nameservers"] = {"addresses": list(asked["dns"])}
    else:
        card["dhcp4"] = True
    return _dumped({"version": 2, "ethernets": {"eth0": card}})


def _dumped(document: dict[str, Any]) -> str:
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000))


def image(files: dict[str, str]) -> bytes:
    """A CD image with these files, under the name by which cloud-init finds it."""
    disc = pycdlib.PyCdlib()
    disc.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    for number, (name, text) in enumerate(sorted(files.items())):
        data = text.encode()
        disc.add_fp(io.BytesIO(data), len(data), f"/FILE{number}.;1", rr_name=name, joliet_path=f"/{name}")
    out = io.BytesIO()
    disc.write_fp(out)
    disc.close()
    return out.getvalue()
