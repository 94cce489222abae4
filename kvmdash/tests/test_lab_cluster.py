"""The main job on real libvirtd and QEMU: act with virsh and see it here, act here and check with virsh, and pull plugs."""

from __future__ import annotations

import pytest

from conftest import wait_until

pytestmark = pytest.mark.lab


def is_running(lab, host, guest):
    return guest in lab.virsh(host, "list", "--name").split()


def hosts_running(lab, guest):
    return [name for name in lab.hosts if is_running(lab, name, guest)]


def booted_on(program, host):
    """A guest that was started on that host and runs there, wherever earlier tests left them."""
    guest = next((name for name in ("web-1", "web-2") if program.vm(name)["host"] == host), "db-1")
    program.running(guest)
    if program.vm(guest)["host"] != host:
        program.done(guest, "migrate", host=host)
        wait_until(lambda: program.vm(guest)["host"] == host, 30, "it to be seen there")
    program.done(guest, "destroy")
    return program.running(guest)


def other_host(program, guest, *avoid):
    return next(name for name in ("kvm1", "kvm2", "kvm3") if name not in (program.vm(guest)["host"], *avoid))


def agent_answers(program, guest):
    return lambda: any(a.get("source") == "agent" for a in program.vm(guest)["addresses"])


def test_hosts_on_tcp_tls_and_ssh_are_mirrored_with_their_guests(program, lab_cluster):
    for name in ("kvm1", "kvm2", "kvm3"):
        seen = {vm["name"] for vm in program.get(f"vms?host={name}")["items"]}
        assert seen == set(lab_cluster.virsh(name, "list", "--all", "--name").split())
        assert program.get(f"hosts/{name}")["libvirt_version"]


def test_what_virsh_does_is_seen_here(program, lab_cluster):
    guest = "cache-1"
    host = program.vm(guest)["host"]
    lab_cluster.virsh(host, "suspend", guest)
    wait_until(lambda: program.vm(guest)["power_state"] == "paused")
    lab_cluster.virsh(host, "resume", guest)
    wait_until(lambda: program.vm(guest)["power_state"] == "running")
    lab_cluster.virsh(host, "desc", guest, "--title", "--live", "--config", "from virsh")
    wait_until(lambda: program.vm(guest)["title"] == "from virsh")


def test_what_is_done_here_is_seen_by_virsh(program, lab_cluster):
    guest = "cache-1"
    host = program.vm(guest)["host"]
    program.done(guest, "suspend")
    assert lab_cluster.state(host, guest) == "paused"
    program.done(guest, "resume")
    assert lab_cluster.state(host, guest) == "running"


def test_addresses_come_from_the_agent_inside_the_guest(program):
    vm = wait_until(lambda: agent_answers(program, "web-1")() and program.vm("web-1"), 120, "web-1's agent")
    assert any(address["address"].startswith("192.168.") for address in vm["addresses"])


def test_a_booted_guest_shuts_down_when_asked_and_starts_again(program, lab_cluster):
    wait_until(agent_answers(program, "web-2"), 120, "web-2 to have booted")
    host = program.vm("web-2")["host"]
    program.done("web-2", "shutdown", wait=90)
    assert lab_cluster.state(host, "web-2") == "shut off"
    wait_until(lambda: program.vm("web-2")["power_state"] == "shutoff")
    program.done("web-2", "start")
    assert is_running(lab_cluster, host, "web-2")


def test_saved_memory_is_restored_by_the_next_start(program, lab_cluster):
    host = program.vm("cache-1")["host"]
    program.done("cache-1", "managed-save")
    wait_until(lambda: program.vm("cache-1")["managed_save"])
    assert not is_running(lab_cluster, host, "cache-1")
    program.done("cache-1", "start")
    wait_until(lambda: program.vm("cache-1")["power_reason"] == "restored")


@pytest.mark.parametrize("round_trip", ["there", "back"])
def test_a_guest_with_a_network_disk_moves_without_stopping(program, lab_cluster, round_trip):
    source = program.vm("db-1")["host"]
    target = other_host(program, "db-1")
    ended = program.do("db-1", "migrate", host=target)
    assert ended["state"] == "succeeded", ended
    assert ended["result"]["host"] == target and ended["result"]["downtime_ms"] is not None
    assert hosts_running(lab_cluster, "db-1") == [target]
    assert "db-1" not in lab_cluster.virsh(source, "list", "--all", "--name").split()
    wait_until(lambda: program.vm("db-1")["host"] == target)


def test_a_paused_guest_arrives_paused_and_is_told_from_a_copy_that_never_got_its_memory(program, lab_cluster):
    guest = program.running("db-1")
    target = other_host(program, guest)
    program.done(guest, "suspend")
    ended = program.do(guest, "migrate", host=target, undefine_source=False)
    assert (ended["state"], ended["result"]["state"]) == ("succeeded", "paused"), ended
    # What migrate.py goes by when it finds a paused guest at a target: (migration) is one that is still to be filled.
    assert "paused (user)" in lab_cluster.virsh(target, "domstate", guest, "--reason")
    assert "shut off (migrated)" in lab_cluster.virsh(ended["host"], "domstate", guest, "--reason")
    lab_cluster.virsh(ended["host"], "undefine", guest)
    program.running(guest)


def test_a_move_without_shared_storage_fails_says_why_and_the_guest_runs_on(program, lab_cluster):
    source = program.vm("web-1")["host"]
    ended = program.do("web-1", "migrate", host=other_host(program, "web-1"))
    assert ended["state"] == "failed"
    assert "shared" in ended["error"]["message"] and source in ended["error"]["message"]
    assert hosts_running(lab_cluster, "web-1") == [source]


def test_a_person_who_knows_the_storage_to_be_shared_may_say_so(program, lab_cluster):
    target = other_host(program, "web-1")
    ended = program.do("web-1", "migrate", host=target, unsafe=True)
    assert ended["state"] == "succeeded", ended
    assert hosts_running(lab_cluster, "web-1") == [target]


def test_hosts_that_cannot_reach_each_other_are_moved_between_by_kvmdash_itself(program, lab_cluster):
    program.running("db-1")
    target = other_host(program, "db-1")
    address = lab_cluster.facts["hosts"][target]["address"]
    peer = lab_cluster.facts["hosts"][target]["peer_uri"]
    change = f"from hosts.models import Host; Host.objects.filter(name='{target}').update(peer_uri='%s')"
    program.manage("shell", "-c", change % f"qemu+tcp://{address}:9/system")
    try:
        ended = program.do("db-1", "migrate", host=target)
    finally:
        program.manage("shell", "-c", change % peer)
    assert ended["state"] == "succeeded", ended
    assert any("client-managed" in line["text"] for line in ended["log"])
    assert hosts_running(lab_cluster, "db-1") == [target]


def test_a_move_made_by_virsh_is_followed(program, lab_cluster):
    source, target = program.vm("db-1")["host"], other_host(program, "db-1")
    peer = lab_cluster.facts["hosts"][target]["peer_uri"]
    lab_cluster.virsh(source, "migrate", "db-1", peer, "--live", "--p2p", "--persistent", "--undefinesource")
    wait_until(lambda: program.vm("db-1")["host"] == target and program.vm("db-1")["power_state"] == "running")
    assert not [vm for vm in program.get("vms?q=db-1")["items"] if vm["uuid"] != program.vm("db-1")["uuid"]]


@pytest.fixture
def slow_guest(program, lab_cluster):
    """A running guest to be moved slowly; nothing an earlier test began is still under way."""
    guest = "cache-1"
    for operation in program.get("operations?page_size=50")["items"]:
        if operation["state"] in ("queued", "running"):
            program.api(f"operations/{operation['id']}/cancel", {})
            program.ended(operation["id"])
    wait_until(lambda: program.vm(guest)["power_state"] != "migrating")
    return program.running(guest)


def begin_slow_move(program, guest, target):
    """Start a move limited to 1 MiB/s; its id, once memory is being sent."""
    identity = program.ask(guest, "migrate", host=target, bandwidth=1)
    wait_until(lambda: (program.operation(identity)["progress"].get("percent") or 0) > 0, 60, "memory to be sent")
    return identity


def test_a_cancelled_move_leaves_the_guest_running_at_the_source(program, lab_cluster, slow_guest):
    source = program.vm(slow_guest)["host"]
    identity = begin_slow_move(program, slow_guest, other_host(program, slow_guest))
    assert program.api(f"operations/{identity}/cancel", {})[0] == 202
    ended = program.ended(identity)
    assert ended["state"] == "cancelled" and source in ended["error"]["message"]
    assert hosts_running(lab_cluster, slow_guest) == [source]


def test_a_running_move_shows_figures_and_takes_another_bandwidth(program, lab_cluster, slow_guest):
    identity = begin_slow_move(program, slow_guest, other_host(program, slow_guest))
    progress = program.operation(identity)["progress"]
    assert {"remaining", "total", "rate", "dirty_rate", "iteration", "elapsed", "estimate"} <= set(progress)
    status, answer = program.api(f"operations/{identity}/signal", {"name": "bandwidth", "arguments": {"bandwidth": 0}})
    assert status == 202, answer
    assert program.ended(identity)["state"] == "succeeded"


def test_a_second_change_of_a_moving_guest_is_refused_with_the_reason(program, slow_guest):
    identity = begin_slow_move(program, slow_guest, other_host(program, slow_guest))
    status, answer = program.api(f"vms/{program.vm(slow_guest)['uuid']}/suspend", {})
    assert status == 409 and "admin" in answer["detail"]
    program.api(f"operations/{identity}/cancel", {})
    program.ended(identity)


def test_a_move_under_way_when_everything_was_killed_is_followed_to_its_end(program, lab_cluster, slow_guest):
    source, target = program.vm(slow_guest)["host"], other_host(program, slow_guest)
    identity = begin_slow_move(program, slow_guest, target)
    program.kill()
    program.start()
    wait_until(lambda: program.operation(identity)["state"] == "running")
    lab_cluster.virsh(source, "migrate-setspeed", slow_guest, "500")
    ended = program.ended(identity)
    assert ended["state"] == "succeeded", ended
    assert hosts_running(lab_cluster, slow_guest) == [target]
    wait_until(lambda: program.vm(slow_guest)["host"] == target)


def test_a_host_that_is_cut_off_keeps_its_guests_here_and_comes_back_alone(program, lab_cluster):
    guests = {vm["name"] for vm in program.get("vms?host=kvm2")["items"]}
    lab_cluster.cut("kvm2")
    try:
        wait_until(lambda: program.get("hosts/kvm2")["state"] != "connected", 20, "the silence to be noticed")
        assert {vm["name"] for vm in program.get("vms?host=kvm2")["items"]} == guests
        elsewhere = next(vm["name"] for vm in program.get("vms?page_size=200")["items"] if vm["name"] not in guests)
        program.done(elsewhere, "set-metadata", title="x")
    finally:
        lab_cluster.join("kvm2")
    wait_until(lambda: program.get("hosts/kvm2")["state"] == "connected", 90, "the host to come back")


def test_a_restarted_libvirtd_is_found_again_and_the_guests_ran_on(program, lab_cluster):
    running = set(lab_cluster.virsh("kvm1", "list", "--name").split())
    lab_cluster.restart("kvm1")
    wait_until(lambda: program.get("hosts/kvm1")["state"] == "connected", 60)
    assert set(lab_cluster.virsh("kvm1", "list", "--name").split()) == running


def test_a_frozen_libvirtd_is_told_from_a_dead_one(program, lab_cluster):
    lab_cluster.freeze("kvm3")
    try:
        wait_until(lambda: program.get("hosts/kvm3")["state"] != "connected", 20)
    finally:
        lab_cluster.thaw("kvm3")
    wait_until(lambda: program.get("hosts/kvm3")["state"] == "connected", 90)
