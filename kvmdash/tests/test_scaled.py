"""The roles as separate processes on PostgreSQL and Redis, sharing test-driver hosts by lease."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor

import libvirt
import pytest

from conftest import wait_until
from kvmdash.tests.program import PROJECT, Program
from kvmdash.tests.services import Services
from lab.testhosts import TestHost, free_port, libvirtd_path
from vms.tests.console.screens import Screen
from vms.tests.console.viewer import Viewer

pytestmark = pytest.mark.services

HOSTS = 20

XML = (
    "<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>64</memory>"
    "<os><type>hvm</type></os></domain>"
)


class Scaled(Program):
    """One web process, one console gateway and two of each other role."""

    def __init__(self, services):
        super().__init__(KVMDASH_CONSOLE_GATEWAY=f"127.0.0.1:{free_port()}", **services.environment)
        self.roles = {}

    def start(self):
        self.manage("migrate_all")
        create = "User.objects.create_user('admin', password='x', role='administrator')"
        self.manage("shell", "-c", f"from hosts.models import User; {create}")
        for name, command in {
            "web": ["web", "--port", str(self.port)],
            "inventory-1": ["inventory"], "inventory-2": ["inventory"],
            "operations-1": ["operations"], "operations-2": ["operations"],
            "consoles": ["consoles"],
        }.items():  # fmt: skip
            self.start_role(name, command)
        self.process = self.roles["web"]
        wait_until(self._answers, 60, "the web role to answer")
        self.token = self.manage("token", "tests", "--user", "admin").splitlines()[-1]

    def start_role(self, name, command):
        log = (self.folder / "log").open("ab")
        self.roles[name] = subprocess.Popen(
            [sys.executable, "manage.py", *command],
            cwd=PROJECT, env=self.environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip

    def kill_role(self, name):
        self.roles[name].send_signal(signal.SIGKILL)
        self.roles[name].wait()

    def stop(self):
        for process in self.roles.values():
            if process.poll() is None:
                process.terminate()
        for process in self.roles.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()

    def owners(self, role):
        code = (
            "from hosts.models import Lease; import json;"
            f"print(json.dumps(list(Lease.objects.filter(role='{role}').values_list('host__name', 'owner'))))"
        )
        return dict(json.loads(self.manage("shell", "-v0", "-c", code).splitlines()[-1]))


@pytest.fixture(scope="module")
def services():
    running = Services()
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def test_hosts():
    if libvirtd_path() is None:
        pytest.skip("libvirtd is not installed")
    hosts = [TestHost.create(f"scaled{n}") for n in range(HOSTS)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(TestHost.start, hosts))
    yield hosts
    for host in hosts:
        host.remove()


@pytest.fixture(scope="module")
def scaled(services, test_hosts):
    running = Scaled(services)
    running.start()
    code = "import sys; from hosts.models import Host;"
    code += "".join(f"Host.objects.create(name={host.name!r}, uri={host.uri!r});" for host in test_hosts)
    running.manage("shell", "-v0", "-c", code)
    wait_until(
        lambda: all(h["state"] == "connected" for h in hosts_of(running)) and len(hosts_of(running)) == HOSTS, 60
    )
    yield running
    running.stop()
    if "Traceback" in running.log():
        sys.stderr.write(running.log()[-6000:])
    shutil.rmtree(running.folder, ignore_errors=True)


def hosts_of(program):
    answer = program.get("hosts")
    return answer["items"] if isinstance(answer, dict) else answer


WITH_SCREEN = (
    "<domain type='test'><name>{name}</name><memory unit='MiB'>64</memory><os><type>hvm</type></os>"
    "<devices><graphics type='vnc' port='{port}' autoport='no' listen='127.0.0.1'/></devices></domain>"
)


def define(host, name):
    identity = str(uuid.uuid4())
    libvirt.open(host.uri).defineXML(XML.format(name=name, uuid=identity))
    return identity


def seen(program, name):
    return lambda: any(vm["name"] == name for vm in program.get(f"vms?q={name}")["items"])


def power_of(program, host):
    return program.vm(f"after-kill-{host.name}")["power_state"]


def test_the_hosts_are_shared_out_evenly(scaled):
    def even():
        for role in ("inventory", "operations"):
            owners = list(scaled.owners(role).values())
            if sorted(owners.count(owner) for owner in set(owners)) != [HOSTS // 2] * 2:
                return False
        return True

    wait_until(even, 40, "ten hosts for each process")


def test_events_and_operations_travel_between_the_processes(scaled, test_hosts):
    for host in test_hosts[:4]:
        name = f"guest-{host.name}"
        define(host, name)
        wait_until(seen(scaled, name))
        assert scaled.do(name, "start")["state"] == "succeeded"
        wait_until(lambda name=name: scaled.vm(name)["power_state"] == "running")


def test_a_console_opens_by_way_of_the_gateway(scaled, test_hosts):
    screen = Screen("afar")
    raw = libvirt.open(test_hosts[4].uri)
    guest = raw.createXML(WITH_SCREEN.format(name="afar", port=screen.port), 0)
    try:
        wait_until(seen(scaled, "afar"))
        status, answer = scaled.api(f"vms/{guest.UUIDString()}/console", {})
        assert status == 200, answer
        with Viewer(answer["url"]) as viewer:
            assert viewer.greet().name == "afar"
    finally:
        guest.destroy()
        screen.close()


def test_a_killed_inventory_process_is_replaced_and_no_event_is_lost(scaled, test_hosts):
    before = scaled.owners("inventory")
    scaled.kill_role("inventory-1")
    for host in test_hosts:
        define(host, f"after-kill-{host.name}")
    for host in test_hosts:
        wait_until(seen(scaled, f"after-kill-{host.name}"), 40)
    after = scaled.owners("inventory")
    assert len(set(after.values())) == 1 and set(after.values()) < set(before.values())


def test_a_killed_operations_process_loses_no_operation(scaled, test_hosts):
    asked = [scaled.ask(f"after-kill-{host.name}", "start") for host in test_hosts[: HOSTS // 2]]
    scaled.kill_role("operations-1")
    asked += [scaled.ask(f"after-kill-{host.name}", "start") for host in test_hosts[HOSTS // 2 :]]
    for host, operation in zip(test_hosts, asked, strict=True):
        state = scaled.ended(operation)["state"]
        runs = bool(libvirt.open(host.uri).lookupByName(f"after-kill-{host.name}").isActive())
        # Whose process died between asking libvirt and hearing of it may be told as unknown, and never as failed.
        assert (state == "succeeded" and runs) or state == "unknown"
        wait_until(lambda host=host, runs=runs: (power_of(scaled, host) == "running") == runs)
    assert len(set(scaled.owners("operations").values())) == 1


def test_redis_may_go_away_and_come_back(scaled, services, test_hosts):
    services.stop_redis()
    define(test_hosts[0], "while-redis-was-away")
    wait_until(seen(scaled, "while-redis-was-away"), 60)
    assert scaled.do("while-redis-was-away", "start")["state"] == "succeeded"
    services.start_redis()
    define(test_hosts[0], "after-redis")
    wait_until(seen(scaled, "after-redis"), 60)


def test_a_change_is_pushed_to_an_open_page_through_redis(scaled, test_hosts):
    from websockets.asyncio.client import connect

    identity = define(test_hosts[1], "pushed")
    wait_until(seen(scaled, "pushed"))
    code = (
        "from hosts.sessions import SessionStore; from hosts.models import User;"
        "from django.contrib.auth import SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY;"
        "u = User.objects.get(username='admin'); s = SessionStore(); s[SESSION_KEY] = str(u.pk);"
        "s[BACKEND_SESSION_KEY] = 'allauth.account.auth_backends.AuthenticationBackend';"
        "s[HASH_SESSION_KEY] = u.get_session_auth_hash(); s.create(); print(s.session_key)"
    )
    key = scaled.manage("shell", "-v0", "-c", code).splitlines()[-1]

    async def watch():
        headers = {"Cookie": f"kvmdash_session={key}", "Origin": scaled.url}
        async with connect(scaled.url.replace("http", "ws") + "/ws/live/", additional_headers=headers) as socket:
            await socket.send(json.dumps({"watch": [f"tree-vm:{identity}"]}))
            await asyncio.sleep(0)
            await socket.send(json.dumps({"watch": [f"tree-vm:{identity}", "drawer:all"]}))
            raw = libvirt.open(test_hosts[1].uri)
            await asyncio.to_thread(raw.lookupByUUIDString(identity).create)
            while True:
                message = json.loads(await asyncio.wait_for(socket.recv(), 20))
                for name, html in message.get("html", []):
                    if name == f"tree-vm:{identity}" and "running" in html:
                        return True

    assert asyncio.run(watch())
