"""What a kind of operation is. One small class each; :data:`registry` knows them by name.

A kind *looks* in ``check`` (rows only, before anything is queued), *changes* in ``run`` (handed a Task with live connections) and,
when the process that ran it died or the host was lost in the middle, *observes* in ``recover``; it never runs blindly again. The
first connection a task hands out counts as having asked libvirt, but for what is only looked at in ``with task.looking():``.
``virsh`` is the same change as a command a person could type.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from django.utils.translation import gettext as _

from hosts.models import Host, Operation, User

if TYPE_CHECKING:
    from hosts.operations.task import Task

    StrOrPromise = Any

registry: dict[str, Kind] = {}


class Refused(Exception):
    """Not now, not so, or not by this user; the message says why. Nothing was changed."""


class InvalidArguments(Refused):
    """An argument is wrong; ``field`` says which."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def no_argument(kind: str, argument: str) -> str:
    """Why an argument that ``kind`` does not know is not taken."""
    return _("%(kind)s takes no argument %(name)s.") % {"kind": kind, "name": repr(argument)}


class Cancelled(Exception):
    """Raised by ``run`` when it stopped because it was asked to; the message says how things are now."""


class Uncertain(Exception):
    """Raised when it cannot be told how it ended; the message says what a person should look at."""


class Interrupted(Exception):
    """Raised into ``run`` and ``recover`` when this process must let go: it stops, or another has taken the operation over."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is acted on: a host, or a guest (``uuid``) on a host. ``row`` is the model instance."""

    host: Host | None
    name: str
    row: Any
    uuid: uuid.UUID | None = None


class Kind(ABC):
    """Base of all kinds. A subclass with a ``name`` registers one instance of itself."""

    name: ClassVar[str] = ""
    label: ClassVar[Any] = ""
    verb: ClassVar[str] = ""
    role: ClassVar[User.Role] = User.Role.OPERATOR
    exclusive: ClassVar[bool] = True
    cancellable: ClassVar[bool] = False
    #: whether it changes anything; one that only looks may be run again, and failing to look is its result
    changes: ClassVar[bool] = True
    #: long calls get a connection of their own: libvirtd serves five requests at a time for each
    own_connection: ClassVar[bool] = False
    #: whether it is a guest or a person that it mostly waits for
    patient: ClassVar[bool] = False
    #: whether the UUID of its subject is a guest's
    of_guest: ClassVar[bool] = True
    #: whether its subject is gone when it has succeeded, so that there is no page to point at
    removes: ClassVar[bool] = False
    #: whether it may be asked of many at once
    many: ClassVar[bool] = True
    #: signals that may be sent to it while it runs
    signals: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.name:
            from hosts import access

            registry[cls.name] = cls()
            access.register(cls.verb, cls.role)

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as checked plain data; raises InvalidArguments. Without own arguments, none are taken."""
        for name in arguments:
            raise InvalidArguments(name, no_argument(self.name, name))
        return {}

    def clean_signal(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """A signal's arguments as checked plain data; raises InvalidArguments. Without own signals, none are taken."""
        for argument in arguments:
            raise InvalidArguments(argument, no_argument(name, argument))
        return {}

    @abstractmethod
    def subject(self, row: Any) -> Subject:
        """The subject for a model instance."""

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        """Look, by the rows, whether it makes sense now; raises Refused with the reason."""

    def looking_at(self, rows: Sequence[Any], arguments: dict[str, Any]) -> AbstractContextManager[None]:
        """Around the checks of many rows with the same arguments: a place to read once what all of them need."""
        return nullcontext()

    def keep(self, operation: Operation, given: Mapping[str, Any]) -> None:
        """Keep beside a new operation what was given and must not stand in it, such as a secret; in its transaction."""

    def forget(self, operation: Operation) -> None:
        """It has ended: forget what was kept for it."""

    def page(self, operation: Operation) -> str:
        """The address of what it acts on, where that is neither a guest nor a host; '' when it is not there."""
        return ""

    @abstractmethod
    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        """The equivalent command; '' where there is none."""

    @abstractmethod
    def run(self, task: Task) -> dict[str, Any]:
        """Do it. Returns the result; raises Cancelled, Uncertain, Refused or a HypervisorError."""

    @abstractmethod
    def recover(self, task: Task) -> dict[str, Any]:
        """The process that ran it died, or lost the host: find out how it ended, following it when it still goes on.

        Called again while the host cannot be reached. Called only when libvirt had been asked: before that, ``run`` is.
        """


class Pace(StrEnum):
    """How long operations of a kind keep their place among those of their host, so that the quick need not wait for the slow."""

    QUICK = "quick"
    SLOW = "slow"
    PATIENT = "patient"


def pace_of(name: str) -> Pace:
    """The pace of a kind; one that no app knows any more ends at once."""
    kind = registry.get(name)
    if kind is None or not (kind.patient or kind.own_connection):
        return Pace.QUICK
    return Pace.PATIENT if kind.patient else Pace.SLOW


def get(name: str) -> Kind:
    """The kind of that name; raises Refused for an unknown one."""
    try:
        return registry[name]
    except KeyError:
        raise Refused(_("There is no operation called %(name)s.") % {"name": repr(name[:40])}) from None
