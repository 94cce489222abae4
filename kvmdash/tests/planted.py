"""Recognisable secrets, a dashboard that is given them all, and everything it then says, writes or runs."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import time

import libvirt
from websockets.sync.client import connect

from conftest import wait_until
from hosts.tests.pem import Authority
from kvmdash.keys import new_encryption_key, new_secret_key
from kvmdash.tests.program import Program
from kvmdash.tests.test_login import code_of
from kvmdash.tests.watching import Asker, CommandLines, Places
from lab.testhosts import TestHost
from vms.history import meaning
from vms.tests.console.screens import Screen
from vms.tests.console.viewer import Viewer

GUEST = (
    "<domain type='test'><name>planted</name><memory unit='MiB'>64</memory><os><type>hvm</type></os>"
    "<devices><graphics type='vnc' port='{port}' autoport='no' listen='127.0.0.1' passwd='{password}'/></devices>"
    "</domain>"
)
#: states of hosts whose port takes connections and says nothing
FAILED = ["silent", "unreachable", "failed", "certificate"]
MOST_PAGES = {"text": 120, "json": 10}


def word() -> str:
    """A secret that is found nowhere by chance."""
    return "Planted-" + secrets.token_urlsafe(18)


class SaslHost(TestHost):
    """A libvirtd that asks for a name and a password, and takes none."""

    def _write_configuration(self) -> None:
        super()._write_configuration()
        file = self.folder / "libvirtd.conf"
        file.write_text(file.read_text().replace('auth_tcp = "none"', 'auth_tcp = "sasl"'))
        sasl = self.folder / "libvirt.conf"
        sasl.write_text(f"mech_list: digest-md5\nsasldb_path: {self.folder}/passwords\n")
        sasl.chmod(0o644)
        self.environment = {"SASL_CONF_PATH": str(self.folder)}

    def _keep_open(self) -> None:
        """It has no guests to keep."""


class Planted:
    """The dashboard and its hosts; :meth:`run` uses every road once."""

    def __init__(self) -> None:
        self.places = Places()
        self.authority = Authority("planted")
        certificate, key = self.authority.issue("127.0.0.1")
        self.certificate, self.tls_key = certificate, key
        self.secrets = {
            "SASL password": word(), "ssh key": "", "TLS key": key.splitlines()[1], "VNC password": secrets.token_hex(4),
            "administrator's password": word(), "password": word(), "mistyped password": word(),
            "new password": word(), "new guest's password": word(), "secret in user-data": word(),
            "typed VNC password": secrets.token_hex(4), "pool's password": word(), "metrics token": word(), "wrong ticket": word(),
            "wrong API token": "kvd_" + secrets.token_hex(30)[:43],
            "Django's secret key": new_secret_key(), "encryption key": new_encryption_key(),
        }  # fmt: skip
        self.program = Program(
            KVMDASH_ADMIN_PASSWORD=self.secrets["administrator's password"],
            KVMDASH_SECRET_KEY=self.secrets["Django's secret key"],
            KVMDASH_ENCRYPTION_KEYS=self.secrets["encryption key"],
            KVMDASH_METRICS_TOKEN=self.secrets["metrics token"],
            KVMDASH_LOG_LEVEL="DEBUG", KVMDASH_CONNECT_SECONDS="3", KVMDASH_RECONCILE_SECONDS="2",
        )  # fmt: skip
        self.ssh_key = self._ssh_key()
        self.secrets["ssh key"] = self.ssh_key.splitlines()[2]
        self.screen = Screen("planted", password=self.secrets["VNC password"])
        self.host, self.sasl_host = TestHost.create("planted"), SaslHost.create("planted-sasl")

    def _ssh_key(self) -> str:
        file = self.program.folder / "made-key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", file], check=True)
        self.ssh_public = (self.program.folder / "made-key.pub").read_text().strip()
        text = file.read_text()
        for one in (file, self.program.folder / "made-key.pub"):
            one.unlink()
        return text

    def start_hosts(self) -> None:
        """The two daemons and the guest."""
        self.host.start()
        self.sasl_host.start()
        raw = libvirt.open(self.host.uri)
        text = GUEST.format(port=self.screen.port, password=self.secrets["VNC password"])
        self.guest = raw.defineXML(text).UUIDString()
        raw.lookupByUUIDString(self.guest).create()

    def run(self, form: str, ssh_port: int) -> None:
        """Start it with logs as ``form``, use all roads, stop it, and take in what it left."""
        self.program.environment["KVMDASH_LOG_FORMAT"] = form
        (self.program.folder / "log").unlink(missing_ok=True)
        with CommandLines() as lines:
            self.program.start()
            self.secrets["API token"] = self.program.token
            admin = Asker(self.program, self.places)
            assert admin.login("admin", self.secrets["administrator's password"]) == 302
            self.secrets[f"session ({form})"] = admin.session
            self.add_hosts(admin, ssh_port, form)
            self.people(form, admin)
            self.consoles(admin, form)
            self.operations()
            self.typed_secrets(form)
            self.pushes(admin, admin.crawl(MOST_PAGES[form]))
            self.api()
            wait_until(lambda: any(line.startswith(b"ssh\0") for line in lines.seen), 30, "ssh to be run")
            # As it is while it runs, with what SQLite has not put into its file yet.
            self.places.files(self.program.folder, form)
            self.program.stop()
        self.places.files(self.program.folder, form)
        for line in lines.seen:
            self.places.add("command lines", line.replace(b"\0", b" "))

    def add_hosts(self, admin: Asker, ssh_port: int, form: str) -> None:
        """By the page, with a mistake first, and tested; one of them by the command."""
        name = f"-{form}"
        common = {"way": "raw", "transport": "ssh", "path": "/system", "then": "test"}
        wanted = {
            "sasl": {"uri": self.sasl_host.uri, "sasl_username": "dash", "sasl_password": self.secrets["SASL password"]},
            "tls": {"uri": f"qemu+tls://127.0.0.1:{ssh_port}/system", "tls_ca": self.authority.pem,
                    "tls_certificate": self.certificate, "tls_key": self.tls_key},
            "ssh": {"uri": f"qemu+ssh://root@127.0.0.1:{ssh_port}/system", "ssh_key": self.ssh_key,
                    "pin": " ".join(self.ssh_public.split()[:2])},
        }  # fmt: skip
        if form == "json":
            wanted = {"sasl": wanted["sasl"]}
        for kind, fields in wanted.items():
            status, _text = admin.ask("POST", "/hosts/add/", {**common, **fields, "name": "not a name!"})
            assert status == 422
            status, text = admin.ask("POST", "/hosts/add/", {**common, **fields, "name": kind + name})
            assert status == 302, text
            status, _text = admin.ask("POST", f"/hosts/{kind}{name}/do/enable/")
            assert status in (204, 302)
            admin.ask("POST", f"/hosts/{kind}{name}/edit/", {**common, **fields, "name": "not a name!"})
        if form == "text":
            self.program.manage("add_host", "kvm1", self.host.uri)
        self.guest_is("running")
        # Each got as far as it was to: to where its secret is used.
        for kind in wanted:
            known = ["auth"] if kind == "sasl" else FAILED
            wait_until(lambda kind=kind, known=known: self.state(kind + name) in known, 40, f"{kind} to be {known}")

    def state(self, host: str) -> str:
        return str(self.program.get(f"hosts/{host}")["state"])

    def guest_is(self, state: str) -> None:
        wait_until(
            lambda: any(vm["power_state"] == state for vm in self.program.get("vms?q=planted")["items"]), 30, state
        )

    def people(self, form: str, admin: Asker) -> None:
        """A person is made, mistypes, comes in, sets up an authenticator app, makes a token, changes the password."""
        name, password, new = f"ada-{form}", self.secrets["password"], self.secrets["new password"]
        status, text = admin.ask("POST", "/administration/people/add/", {
            "username": name, "role": "operator", "full_name": "Ada", "password": password})  # fmt: skip
        assert status in (204, 302), text
        ada = Asker(self.program, self.places)
        assert ada.login(name, self.secrets["mistyped password"]) == 200
        assert ada.login(name, password) == 302
        self.secrets[f"session of a person ({form})"] = ada.session
        assert ada.ask("POST", "/account/reauthenticate/", {"password": password})[0] == 302
        _status, page = ada.ask("GET", "/account/2fa/totp/activate/", place="own answers")
        found = re.search(r"\b([A-Z2-7]{32})\b", page)
        assert found is not None, page
        self.secrets[f"secret of an authenticator app ({form})"] = found[1]
        assert ada.ask("POST", "/account/2fa/totp/activate/", {"code": code_of(found[1])})[0] == 302
        status, page = ada.ask("POST", "/administration/tokens/", {"name": "mine", "days": "90"}, place="own answers")
        found = re.search(r"kvd_[A-Za-z0-9_-]{43}", page)
        assert found is not None, (status, page)
        self.secrets[f"API token from the page ({form})"] = found[0]
        ada.ask("GET", "/administration/tokens/")
        fields = {"oldpassword": password, "password1": new, "password2": new}
        assert ada.ask("POST", "/account/password/change/", fields)[0] == 302
        ada.ask("GET", "/account/password/change/")

    def consoles(self, admin: Asker, form: str) -> None:
        """By the page's ticket and by the API's, a used one and a wrong one."""
        _status, text = admin.ask("POST", f"/vms/{self.guest}/console/ticket/", place="own answers")
        page_ticket = json.loads(text)["url"].partition("=")[2]
        _status, answer = self.program.api(f"vms/{self.guest}/console", {})
        api_ticket = answer["url"].partition("=")[2]
        self.secrets |= {f"console ticket ({form})": page_ticket, f"console ticket of the API ({form})": api_ticket}
        cookie = {"Cookie": f"kvmdash_session={admin.session}"}
        for ticket, headers in ((page_ticket, cookie), (api_ticket, {})):
            viewer = Viewer(self.console(ticket), origin=self.program.url, headers=headers).greet()
            assert viewer.name == "planted"
            viewer.websocket.close()
        for ticket in (page_ticket, self.secrets["wrong ticket"]):
            assert Viewer(self.console(ticket), origin=self.program.url).close_code() == 4401

    def console(self, ticket: str) -> str:
        return f"ws://127.0.0.1:{self.program.port}/ws/console/?ticket={ticket}"

    def operations(self) -> None:
        """Changes of the guest, so that its definition is read and kept again; one is refused."""
        assert self.program.do("planted", "set-metadata", title=f"at {time.time()}")["state"] == "succeeded"
        assert self.program.do("planted", "suspend")["state"] == "succeeded"
        self.guest_is("paused")
        assert self.program.do("planted", "resume")["state"] == "succeeded"
        self.guest_is("running")

    def typed_secrets(self, form: str) -> None:
        """Passwords that operations carry: in a definition that somebody wrote, and for a pool that is to be added."""
        raw = libvirt.open(self.host.uri)
        guest = raw.lookupByUUIDString(self.guest)
        plain = guest.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        assert self.secrets["VNC password"] not in plain
        typed = plain.replace(
            "<graphics type='vnc'", f"<graphics type='vnc' passwd='{self.secrets['typed VNC password']}'"
        )
        arguments = {"definition": typed, "base": meaning("inactive", plain)}
        ended = self.program.do("planted", "define", **arguments, check_schema=False)
        assert ended["state"] == "succeeded", ended
        secure = guest.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
        assert self.secrets["typed VNC password"] in secure
        pool = {"type": "iscsi", "name": f"pool-{form}", "host": "127.0.0.1", "target": "iqn.2026-01.com.example:x",
                "username": "dash", "password": self.secrets["pool's password"]}  # fmt: skip
        status, answer = self.program.api("hosts/kvm1/pool-define", pool)
        assert status == 202, answer
        self.program.ended(answer["id"])
        self.new_guests(form)

    def new_guests(self, form: str) -> None:
        """What cloud-init is told; it ends where the test driver takes no bytes."""
        common = {"host": "kvm1", "road": "install", "pxe": True, "pool": "default-pool", "size": 2**20,
                  "memory": 2**26, "vcpus": 1}  # fmt: skip
        for name, seed in {
            "by-password": {"user": "ada", "password": self.secrets["new guest's password"]},
            "by-document": {"user_data": f"#cloud-config\npassword: {self.secrets['secret in user-data']}\n"},
        }.items():
            status, answer = self.program.api("vms", common | {"name": f"{name}-{form}", "seed": seed})
            assert status == 202, answer
            assert self.program.ended(answer["id"])["state"] == "failed"

    def pushes(self, admin: Asker, keys: set[str]) -> None:
        """An open page that shows all there is while the guest changes."""
        headers = {"Cookie": f"kvmdash_session={admin.session}"}
        url = f"ws://127.0.0.1:{self.program.port}/ws/live/"
        with connect(url, origin=self.program.url, additional_headers=headers, proxy=None) as page:
            stale = [f"stale:{name}" for name in ("vms", "hosts", "operations", "audit", "people", "consoles")]
            page.send(json.dumps({"watch": [*sorted(keys), *stale, f"figures:vm:{self.guest}"]}))
            self.operations()
            heard = b""
            until = time.monotonic() + 30
            while b'"html"' not in heard and time.monotonic() < until:
                heard += page.recv(timeout=30).encode()
            self.places.add("pushes", heard)
            try:
                while True:
                    self.places.add("pushes", page.recv(timeout=1))
            except TimeoutError:
                pass

    def api(self) -> None:
        """Everything that is read, with the token; and a wrong token."""
        _status, schema = self.program.api("openapi.json")
        operations = self.program.get("operations?page_size=100")["items"]
        values = {"uuid": [self.guest], "name": ["sasl-text", "kvm1"], "id": [item["id"] for item in operations[:20]]}
        self.places.add("API", json.dumps(operations))
        for path, methods in schema["paths"].items():
            names = re.findall(r"{(\w+)}", path)
            if "get" not in methods or len(names) > 1:
                continue
            for value in values.get(names[0], []) if names else [""]:
                address = re.sub(r"{\w+}", value, path).removeprefix("/api/v1/")
                self.places.add("API", json.dumps(self.program.api(address)))
        status, answer = self.program.api("me", token=self.secrets["wrong API token"])
        assert status == 401
        self.places.add("API", json.dumps(answer))

    def close(self) -> None:
        """End everything and delete what it left."""
        self.program.stop()
        self.screen.close()
        for host in (self.host, self.sasl_host):
            host.remove()
