"""Set title, description, tags and folder; all are kept in the guest's own definition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.operations.kind import InvalidArguments, Subject
from hosts.operations.task import Task
from vms.definition.metadata import NAMESPACE, PREFIX, OwnMetadata, build, is_folder, is_tag
from vms.models import VirtualMachine
from vms.operations.base import GuestKind, virsh

FIELDS = ("title", "description", "tags", "add_tags", "remove_tags", "folder")
TAG_FIELDS = ("tags", "add_tags", "remove_tags")
CONTROL = {chr(code) for code in range(32)} - {"\n", "\t"}


class SetMetadata(GuestKind):
    """Any of title, description, tags (a list or comma-separated) and folder; what is not named stays.

    ``add_tags`` and ``remove_tags`` change the tags that are there, which is what many guests at once want.
    """

    name = "set-metadata"
    label = gettext_lazy("Edit notes")
    verb = "vm.set_metadata"

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        unknown = set(arguments) - set(FIELDS)
        if unknown:
            raise InvalidArguments(min(unknown), _("There is no field %(name)s.") % {"name": repr(min(unknown))})
        if not arguments:
            raise InvalidArguments("title", _("Nothing to set."))
        given = [name for name in FIELDS if name in arguments]
        cleaned: dict[str, Any] = {
            name: self._tags(name, arguments[name]) if name in TAG_FIELDS else self._text(name, arguments[name])
            for name in given
        }
        if not is_folder(cleaned.get("folder", "")):
            raise InvalidArguments("folder", _("A folder is words divided by '/', such as shop/front."))
        return cleaned

    def _text(self, name: str, value: Any) -> Any:
        text = str(value or "").replace("\r\n", "\n").strip()
        if any(character in CONTROL for character in text):
            raise InvalidArguments(name, _("Control characters are not allowed."))
        if name == "title" and ("\n" in text or len(text) > 255):
            raise InvalidArguments(name, _("A title is one line of at most 255 characters."))
        if len(text) > 8192:
            raise InvalidArguments(name, _("At most 8192 characters."))
        return text.strip("/") if name == "folder" else text

    def _tags(self, name: str, value: Any) -> list[str]:
        words = value.split(",") if isinstance(value, str) else value
        if not isinstance(words, list) or len(words) > 40:
            raise InvalidArguments(name, _("Tags are at most 40 words, divided by commas."))
        tags = sorted({str(word).strip() for word in words if str(word).strip()}, key=str.lower)
        for tag in tags:
            if not is_tag(tag):
                raise InvalidArguments(name, _("%(tag)s will not do as a tag.") % {"tag": repr(tag[:50])})
        return tags

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        lines = []
        if "title" in arguments:
            lines.append(virsh("desc", subject, "--title", "--config", "--live", arguments["title"]))
        if "description" in arguments:
            lines.append(virsh("desc", subject, "--config", "--live", arguments["description"]))
        if _concerns_own(arguments):
            vm = subject.row
            own = _changed(own_metadata_of(vm), arguments)
            change = ["--set", build(own)] if build(own) else ["--remove"]
            lines.append(virsh("metadata", subject, NAMESPACE, "--key", PREFIX, *change))
        return "\n".join(lines)

    def run(self, task: Task) -> dict[str, Any]:
        from vms.definition import metadata
        from vms.definition.xml import parse

        guest, arguments = self.guest(task), task.arguments
        if "title" in arguments:
            guest.set_title(arguments["title"])
        if "description" in arguments:
            guest.set_description(arguments["description"])
        if _concerns_own(arguments):
            now = metadata.read(parse(guest.definition()))
            guest.set_own_metadata(build(_changed(now, arguments)))
        return {"set": sorted(arguments)}

    # Setting the same values twice is the same as setting them once.
    recover = run


def _concerns_own(arguments: Mapping[str, Any]) -> bool:
    return "folder" in arguments or any(name in arguments for name in TAG_FIELDS)


def _changed(now: OwnMetadata, arguments: Mapping[str, Any]) -> OwnMetadata:
    """``now`` with what was asked for."""
    tags = set(arguments.get("tags", now.tags)) | set(arguments.get("add_tags", ()))
    tags -= set(arguments.get("remove_tags", ()))
    return replace(now, tags=sorted(tags, key=str.lower), folder=arguments.get("folder", now.folder))


def own_metadata_of(vm: VirtualMachine) -> OwnMetadata:
    """What we keep in the guest's metadata, by its row."""
    return OwnMetadata([tag.name for tag in vm.tags.all()], vm.folder, vm.protected, vm.template)
