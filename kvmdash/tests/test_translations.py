"""Every text can be translated, Vietnamese is complete, and people get the language that they chose."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.test import Client
from django.utils import translation

from hosts.audit import Actor
from hosts.consumers import LiveConsumer
from hosts.hub import hub
from hosts.hypervisor.words import REASONS as REASON_WORDS
from hosts.models import AuditEntry, Host, Operation
from hosts.operations import queue
from hosts.operations.kind import Refused
from hosts.said import said
from kvmdash.templatetags.words import REASONS
from kvmdash.tests import languages
from kvmdash.tests.cluster import VM1, VM2
from kvmdash.tests.languages import CATALOGUE, PLACEHOLDER, PROJECT
from vms.models import VirtualMachine

VIETNAMESE = re.compile(r"[ăâđêôơưàảãáạằẳẵắặầẩẫấậèẻẽéẹềểễếệìỉĩíịòỏõóọồổỗốộờởỡớợùủũúụừửữứựỳỷỹýỵ]", re.IGNORECASE)
#: sentences that stand on many pages in English
KNOWN = (
    "Nothing matches",
    "Skip to the page",
    "Virtual machines",
    "Search or do something",
    "Sign out",
    "Nothing is wrong",
)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """The committed catalogue, compiled now: what `make` left behind may be older."""
    return languages.compile_to(CATALOGUE, tmp_path_factory.mktemp("vi") / "locale")


@pytest.fixture
def vietnamese(compiled, settings):
    settings.LOCALE_PATHS = [compiled]
    languages.forget()
    yield
    languages.forget()


@pytest.fixture
def bracketed(tmp_path, settings):
    settings.LOCALE_PATHS = [languages.bracketed(CATALOGUE, tmp_path / "brackets")]
    languages.forget()
    yield
    languages.forget()


def client_of(person, language="vi"):
    client = Client()
    client.force_login(person)
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = language
    return client


def attributes(*options):
    """The messages of the catalogue that msgattrib finds."""
    return subprocess.run(
        ["msgattrib", "--no-obsolete", "--no-wrap", *options, CATALOGUE], capture_output=True, text=True, check=True
    ).stdout


# --- the catalogue ---------------------------------------------------------------------------------------------------


def test_make_messages_finds_nothing_that_the_catalogue_lacks(tmp_path):
    for folder in ("kvmdash", "hosts", "vms", "templates"):
        shutil.copytree(
            PROJECT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "tests", "*.mo")
        )
    shutil.copy(PROJECT / "manage.py", tmp_path)
    copy = tmp_path / CATALOGUE.relative_to(PROJECT)
    done = subprocess.run(
        [sys.executable, "manage.py", "makemessages", "--verbosity", "0"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "kvmdash.settings", "KVMDASH_DATA_DIR": str(tmp_path / "var")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    missing = subprocess.run(
        ["msgattrib", "--untranslated", "--no-obsolete", "--no-wrap", copy], capture_output=True, text=True, check=True
    ).stdout
    assert not missing, f"run `make messages` and translate (docs/translating.md):\n{missing}"
    assert "POT-Creation-Date" not in copy.read_text() and str(tmp_path) not in copy.read_text()


def test_no_message_is_untranslated_or_a_guess():
    assert attributes("--untranslated") == ""
    assert attributes("--only-fuzzy") == ""


def test_translations_hold_the_placeholders_and_the_edges_of_their_english(compiled):
    for english, text in languages.messages(compiled / "vi" / "LC_MESSAGES" / "django.mo").items():
        english = english.rpartition("\x04")[2]
        assert sorted(set(PLACEHOLDER.findall(english))) == sorted(set(PLACEHOLDER.findall(text))), english
        edges = [(one[:1].isspace(), one[-1:].isspace()) for one in (english, text)]
        assert edges[0] == edges[1], english


def test_every_reason_that_libvirt_gives_for_a_state_has_a_word():
    words = {word for reasons in REASON_WORDS.values() for word in reasons.values()}
    assert words <= set(REASONS)


@pytest.mark.parametrize("template", sorted((PROJECT / "templates").rglob("*.html")), ids=lambda path: path.name)
def test_no_template_says_anything_outside_a_translation(template):
    assert languages.unmarked_in_template(template.read_text()) == []


# --- pages -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def lived_in(people, cluster):
    """A cluster whose pages have something to say."""
    nic = {"mac": "52:54:00:00:00:01", "type": "network", "source": "default", "model": "virtio"}
    VirtualMachine.objects.update(
        title="", addresses=[{"mac": nic["mac"], "address": "10.0.0.5", "source": "agent"}], nics=[nic]
    )
    Host.objects.filter(name="kvm3").update(state_text="The name kvm3 cannot be resolved.", state_detail="No address.")
    about = {
        "host": cluster["kvm1"],
        "host_name": "kvm1",
        "subject_uuid": VM1,
        "subject_name": "web1",
        "actor_name": "x",
    }
    error = {"type": "Failed", "message": "The guest did not shut down within 30 s. It can be forced off."}
    Operation.objects.create(kind="shutdown", state="failed", error=error, arguments={"wait": 30}, **about)
    progress = {"percent": 50, "remaining": 5, "total": 9, "rate": 3, "dirty_rate": 4, "iteration": 3, "estimate": 4}
    Operation.objects.create(kind="migrate", state="running", progress=progress, arguments={"host": "kvm2"}, **about)
    return people


@pytest.mark.django_db
def test_no_page_says_anything_that_cannot_be_translated(bracketed, lived_in):
    unmarked = {
        address: words
        for address, html in languages.pages(client_of(lived_in["administrator"]))
        if (words := languages.unmarked(html))
    }
    assert unmarked == {}


@pytest.mark.django_db
def test_every_page_is_vietnamese_for_who_chose_it(vietnamese, lived_in):
    count = 0
    for address, html in languages.pages(client_of(lived_in["administrator"])):
        count += 1
        if "<title>" not in html:
            continue
        assert '<html lang="vi"' in html, address
        title = re.search(r"<title>(.*?)</title>", html, re.DOTALL)[1].split("·")[0]
        names = ("web1", "db1", "web2", "old1", "kvm1", "kvm2", "kvm3", "images", "default", "API")
        assert VIETNAMESE.search(title) or any(name in title for name in names), (address, title)
        if 'class="nav-main"' in html:
            navigation = html.partition('class="nav-main"')[2].partition("</nav>")[0]
            assert "Máy ảo" in navigation and "Máy chủ" in navigation and "Hosts" not in navigation, address
        assert [sentence for sentence in KNOWN if f">{sentence}" in html] == [], address
    assert count > 30


@pytest.mark.django_db
def test_english_pages_stay_english(vietnamese, lived_in):
    html = client_of(lived_in["administrator"], "en").get("/").content.decode()
    assert '<html lang="en"' in html and "Virtual machines" in html and "Máy ảo" not in html


@pytest.mark.django_db
def test_the_language_is_chosen_by_post_and_kept(vietnamese, people):
    client = Client(headers={"accept-language": "en"})
    client.force_login(people["viewer"])
    assert 'name="language"' in client.get("/").content.decode()
    answer = client.post("/i18n/language/", {"language": "vi", "next": "/vms/?state=running"})
    assert answer.status_code == 302 and answer.headers["Location"] == "/vms/?state=running"
    assert answer.cookies[settings.LANGUAGE_COOKIE_NAME]["max-age"] > 30 * 24 * 3600
    assert "Máy ảo" in client.get("/vms/").content.decode()
    client.post("/i18n/language/", {"language": "en"})
    assert "Virtual machines" in client.get("/vms/").content.decode()


@pytest.mark.django_db
def test_strangers_choose_the_language_of_the_login(vietnamese):
    stranger = Client(headers={"accept-language": "en"})
    html = stranger.get("/account/login/").content.decode()
    assert "Sign in" in html and 'value="vi"' in html
    stranger.post("/i18n/language/", {"language": "vi", "next": "/account/login/"})
    refused = stranger.post("/account/login/", {"login": "nobody", "password": "wrong"}).content.decode()
    assert "Tên đăng nhập hoặc mật khẩu không đúng." in refused
    # Who landed in a foreign language finds their own by its own name.
    assert ">English<" in refused and ">Tiếng Việt<" in refused


@pytest.mark.django_db
def test_choosing_a_language_by_get_changes_nothing(vietnamese, people):
    client = client_of(people["viewer"], "en")
    client.get("/i18n/language/?language=vi")
    assert "Virtual machines" in client.get("/vms/").content.decode()


# --- the API ---------------------------------------------------------------------------------------------------------


def test_problems_follow_accept_language(vietnamese, api):
    viewer = api["viewer"]

    def told(path: str, language: str) -> tuple[str, str]:
        headers = {**viewer.headers, "accept-language": language}
        answer = viewer.post(path, {}, headers=headers).json()
        return answer["title"], answer["detail"]

    assert told(f"vms/{VM1}/start", "vi") == ("Không được phép", "Bạn không có quyền làm việc này.")
    assert told(f"vms/{VM1}/start", "en") == ("Not allowed", "You do not have the right to do this.")
    assert told("nowhere", "vi,en;q=0.5") == ("Không tìm thấy", "Không có gì ở địa chỉ này.")


def test_wrong_values_are_told_in_the_language_asked_for(vietnamese, api):
    answer = api["viewer"].client.get("/api/v1/vms?page=0", headers={**api["viewer"].headers, "accept-language": "vi"})
    assert answer.json()["errors"][0]["message"] == "Giá trị phải lớn hơn hoặc bằng 1"


# --- what is stored --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("english", "text"),
    [
        ("The connection to the host was lost.", "Mất kết nối tới máy chủ."),
        ("kvm1 does not answer on port 22.", "kvm1 không phản hồi ở cổng 22."),
        (
            "web1 is shut off; this needs it to be running or paused.",
            "web1 đang ở trạng thái đã tắt; việc này cần trạng thái đang chạy hoặc tạm dừng.",
        ),
        ("The move did not finish. The guest is running on kvm1.", "Việc di trú không hoàn tất. Máy ảo đang chạy trên kvm1."),
        ("Not possible in its present state: domain is busy", "Không thể thực hiện ở trạng thái hiện tại: domain is busy"),
        ("At most 200 machines at once.", "Tối đa 200 máy ảo một lần."),
        (
            "The pool does not answer: libvirtd has been busy with it for more than 7.5 s.",
            "Pool không phản hồi: libvirtd đã bận với nó hơn 7.5 giây.",
        ),
        ("Cannot lock /dev/x. The move did not finish.", "Cannot lock /dev/x. Việc di trú không hoàn tất."),
        ("internal error: qemu: 100%(s) {x}", "internal error: qemu: 100%(s) {x}"),
        ("", ""),
    ],
)  # fmt: skip
def test_stored_sentences_are_told_in_the_readers_language(vietnamese, english, text):
    with translation.override("vi"):
        assert said(english) == text
    with translation.override("en"):
        assert said(english) == english


def test_every_sentence_with_values_is_told_with_its_values(vietnamese, compiled):
    with translation.override("vi"):
        for english in languages.messages(compiled / "vi" / "LC_MESSAGES" / "django.mo"):
            filled = re.sub(r"%\(\w+\)[.0-9]*[a-z]", "7", english)
            told = said(filled)
            assert "%(" not in told and ("7" in told) == ("7" in filled), english


def test_words_of_the_hypervisor_are_not_taken_for_ours_however_long(vietnamese):
    text = "web1. " * 5000
    with translation.override("vi"):
        assert said(text) == text


def test_a_refusal_is_stored_in_english_and_told_in_the_language_of_who_asked(vietnamese, people, cluster):
    with translation.override("vi"), pytest.raises(Refused) as refusal:
        queue.enqueue("start", cluster["web1"], {}, Actor(people["operator"]))
    assert str(refusal.value) == "web1 đang ở trạng thái đang chạy; việc này cần trạng thái đã tắt hoặc bị sập."
    assert AuditEntry.objects.get(result="refused").detail["reason"].startswith("web1 is running; this needs it")


def test_refused_parts_of_a_bulk_are_stored_in_english(vietnamese, people, cluster):
    guests = VirtualMachine.objects.filter(pk__in=[VM1, VM2])
    with translation.override("vi"):
        parent = queue.enqueue_many("start", guests, {}, Actor(people["operator"]))
        refused = parent.children.get(state="refused")
        assert refused.error["message"].startswith("web1 is running")
        assert refused.error_text.startswith("web1 đang ở trạng thái đang chạy")


def test_a_host_that_is_lost_is_explained_in_the_readers_language(vietnamese, people, cluster):
    Host.objects.filter(name="kvm3").update(state_text="The name kvm3 cannot be resolved.")
    assert "Không phân giải được tên kvm3." in client_of(people["viewer"]).get("/hosts/kvm3/").content.decode()


# --- pushes ----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_what_is_pushed_is_in_the_language_of_the_page(vietnamese, people, cluster):
    async def pushed(language: str) -> str:
        # Another tab may have chosen another language since the page was made.
        scope = {
            "type": "websocket",
            "path": "/ws/live/",
            "query_string": f"language={language}".encode(),
            "user": viewer,
        }
        page = ApplicationCommunicator(
            LiveConsumer.as_asgi(), scope | {"cookies": {settings.LANGUAGE_COOKIE_NAME: "en"}}
        )
        await page.send_input({"type": "websocket.connect"})
        assert (await page.receive_output())["type"] == "websocket.accept"
        assert "hello" in json.loads((await page.receive_output())["text"])
        await page.send_input({"type": "websocket.receive", "text": json.dumps({"watch": [f"vm-row:{VM1}"]})})
        while await page.receive_nothing(0.1):
            hub._hear({"type": "changes", "topics": [f"vm:{VM1}"]})
        html = dict(json.loads((await page.receive_output())["text"])["html"])
        await page.send_input({"type": "websocket.disconnect", "code": 1000})
        return html[f"vm-row:{VM1}"]

    viewer = people["viewer"]
    assert "Đang chạy" in asyncio.run(pushed("vi"))
    assert "Running" in asyncio.run(pushed("en"))
    assert "Running" in asyncio.run(pushed("tlh"))


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["/", f"/vms/{VM1}/console/"])
def test_pages_name_their_language_to_the_push(vietnamese, people, cluster, page):
    assert 'data-live-url="/ws/live/?language=vi"' in client_of(people["administrator"]).get(page).content.decode()


def test_the_catalogue_of_the_program_is_where_this_looks():
    assert [Path(path) for path in settings.LOCALE_PATHS] == [CATALOGUE.parents[2]]
