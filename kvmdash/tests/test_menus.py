"""A push puts new buttons in the place of old ones: their ids tell which is which, and the focus never lands on another."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from lxml import html

from kvmdash.tests.cluster import VM1
from vms.models import VirtualMachine
from vms.tests.making import browser

pytestmark = pytest.mark.django_db(databases=["default", "metrics"])
PAGES = (
    "/hosts/kvm1/", "/administration/people/", "/administration/tokens/", f"/vms/{VM1}/", f"/vms/{VM1}/snapshots/",
    "/storage/", "/",
)  # fmt: skip


@pytest.mark.parametrize("address", PAGES)
def test_what_can_be_pressed_in_a_live_piece_is_told_apart_by_its_id(
    people: dict[str, Any], cluster: dict[str, Any], address: str
) -> None:
    VirtualMachine.objects.update(addresses=[])
    page = html.fromstring(browser(people["administrator"]).get(address).content)
    pressed = page.xpath(
        "//*[contains(@class, 'menu-item') or @hx-post][self::button or self::a][ancestor::*[@data-live]]"
    )
    assert [html.tostring(one).decode()[:200] for one in pressed if not one.get("id")] == []
    twice = {name: count for name, count in Counter(page.xpath("//@id")).items() if count > 1}
    assert twice == {}
