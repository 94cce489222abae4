"""What a network filter is given by a card: read, written in place, kept as it is when untouched, and for administrators alone."""

from __future__ import annotations

import pytest

from hosts.audit import Actor
from hosts.operations import queue
from hosts.operations.storage_base import NotNow
from vms.definition.domain import Definition
from vms.definition.place import InvalidValue
from vms.hardware import editing, parameters
from vms.hardware.catalogue import TYPES
from vms.tests.making import HTMX, browser
from vms.tests.test_devices import CARD, MAC
from vms.tests.test_hardware import stored
from vms.tests.test_mirror import there  # noqa: F401
from vms.tests.test_operations import do, guest, operator  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "metrics"])
ODD = """<domain type='kvm'><devices>
  <interface type='network'><mac address='52:54:00:00:00:01'/>
    <filterref   filter="clean-traffic" >
      <parameter  value='10.0.0.7' name="IP"/> <!-- ours -->
      <parameter name='IP' value='10.0.0.8'/><parameter name='CTRL_IP_LEARNING' value='dhcp'/>
    </filterref></interface>
</devices></domain>"""


def changed(text=ODD, **values):
    definition = Definition.parse(text)
    editing.assign(definition, editing.find(definition, CARD), values)
    return definition.to_xml()


def told(text):
    return editing.says(editing.find(Definition.parse(text), CARD), parameters.PATH)


def test_values_are_told_by_name_and_in_their_order() -> None:
    assert told(ODD) == "CTRL_IP_LEARNING=dhcp IP=10.0.0.7 IP=10.0.0.8"
    assert told(ODD.replace("parameter", "other")) is None
    values = editing.values(editing.find(Definition.parse(ODD), CARD), TYPES["interface"])
    assert values[parameters.PATH] == told(ODD)


def test_what_is_not_touched_stays_to_the_byte() -> None:
    before = Definition.parse(ODD).to_xml()
    assert changed(filter_parameters=told(ODD)) == before
    part = before[before.index("<filterref") : before.index("</filterref>")]
    assert part in changed(link="down") and part in changed(filter="clean-traffic", mtu=1400)
    renamed = changed(filter="no-ip-spoofing")
    assert part.replace("clean-traffic", "no-ip-spoofing") in renamed, "another filter keeps the values"


def test_values_are_written_and_taken_away() -> None:
    assert told(changed(filter_parameters="IP=10.0.0.9")) == "IP=10.0.0.9"
    assert "ours" in changed(filter_parameters="CTRL_IP_LEARNING=dhcp IP=10.0.0.7"), "remarks stay"
    gone = changed(filter_parameters=None)
    assert told(gone) is None and "clean-traffic" in gone and "<parameter" not in gone
    assert "filterref" not in changed(filter=None)
    bare = (
        "<domain><devices><interface type='network'><mac address='52:54:00:00:00:01'/></interface></devices></domain>"
    )
    both = changed(bare, filter_parameters="IP=10.0.0.7 MASK=8", filter="clean-traffic")
    assert told(both) == "IP=10.0.0.7 MASK=8"
    with pytest.raises(InvalidValue, match="choose one"):
        changed(bare, filter_parameters="IP=10.0.0.7")


def test_they_are_set_and_changed_by_the_queue_whatever_their_order(there, guest, people, eventually):  # noqa: F811
    admin = Actor(people["administrator"])
    asked = {"filter": "clean-traffic", "filter_parameters": "MASK=24   IP=10.0.0.7 IP=10.0.0.8"}
    ended = do(eventually, "device-change", guest, admin, device=CARD, set=asked)
    assert ended.state == "succeeded", ended.error
    assert told(stored(there, guest)) == "IP=10.0.0.7 IP=10.0.0.8 MASK=24"
    assert 'name="IP" value="10.0.0.8"' in ended.virsh.replace("'", '"')
    page = eventually(lambda: _with_values(people, guest))
    assert "IP=10.0.0.7 IP=10.0.0.8 MASK=24" in page


def _with_values(people, guest):  # noqa: F811
    page = browser(people["administrator"]).get(f"/vms/{guest.pk}/devices/").content.decode()
    return page if "clean-traffic" in page else ""


def test_the_form_tells_them_and_leaves_alone_what_nobody_changed(there, guest, people, eventually):  # noqa: F811
    admin = Actor(people["administrator"])
    asked = {"filter": "clean-traffic", "filter_parameters": "IP=10.0.0.7"}
    assert do(eventually, "device-change", guest, admin, device=CARD, set=asked).state == "succeeded"
    client = browser(people["administrator"])
    address = f"/vms/{guest.pk}/do/device-change/"
    form = eventually(lambda: _filled(client, address))
    sent = {field.html_name: str(field.value() or "") for field in form}
    assert sent["filter_parameters"] == "IP=10.0.0.7"
    assert client.post(address, sent | {"mtu": "1400"}, headers=HTMX).status_code == 204
    eventually(lambda: "1400" in stored(there, guest))
    assert told(stored(there, guest)) == "IP=10.0.0.7"
    wrong = sent | {"filter_parameters": "IP=10.0.0.7; <b>"}
    # 409 while the one before has not ended.
    bad = eventually(lambda: (found := client.post(address, wrong, headers=HTMX)).status_code != 409 and found)
    assert bad.status_code == 422, bad.content
    assert "<b>" not in bad.content.decode()


def _filled(client, address):
    form = client.get(f"{address}?device={CARD}", headers=HTMX).context["form"]
    return form if form["filter"].value() == "clean-traffic" else None


@pytest.mark.parametrize(
    "text", ["IP", "=7", "IP=", "I P=7", "IP=a b", "IP=$(id)", "IP='7'", "<x>=1", "x=é", "IP=1,MASK=2"]
)
def test_what_is_no_value_is_refused(guest, people, text):  # noqa: F811
    with pytest.raises(NotNow, match="Names and values"):
        queue.enqueue(
            "device-change", guest, {"device": CARD, "set": {"filter_parameters": text}}, Actor(people["administrator"])
        )


def test_operators_do_not_loosen_a_filter(guest, operator):  # noqa: F811
    both = {"filter": "clean-traffic", "filter_parameters": "IP=10.0.0.7"}
    with pytest.raises(Exception, match="administrators"):
        queue.enqueue("device-change", guest, {"device": CARD, "set": both}, operator)
    with pytest.raises(Exception, match="administrators"):
        asked = {"type": "interface", "set": {"mac": MAC[:-1] + "9", "filter": "x", "filter_parameters": "IP=1"}}
        queue.enqueue("device-add", guest, asked, operator)
