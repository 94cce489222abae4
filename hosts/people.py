"""Making and changing people and their API tokens. Who may is asked here, and everything is audited.

A change of what somebody may do ends their sessions and the pages they have open: they come in again with what they may now.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.models import Session
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from hosts import access, audit, notify
from hosts.audit import Actor
from hosts.models import ApiToken, User
from hosts.operations.kind import InvalidArguments, Refused

MOST_TOKENS = 100
#: a change of these ends the person's sessions
RIGHTS = ("role", "may_watch_consoles", "is_active")


@dataclass(frozen=True, slots=True)
class Profile:
    """What an administrator decides about a person."""

    role: str
    full_name: str = ""
    may_watch_consoles: bool = False
    is_active: bool = True

    def columns(self) -> dict[str, Any]:
        """The same as the model names it."""
        return {
            "role": self.role,
            "first_name": self.full_name,
            "last_name": "",
            "may_watch_consoles": self.may_watch_consoles,
            "is_active": self.is_active,
        }


def add(actor: Actor, username: str, password: str, profile: Profile) -> User:
    """A new person. Raises Denied, or InvalidArguments when somebody has that name."""
    _require_manager(actor, "people.add", username)
    if User.objects.filter(username__iexact=username).exists():
        raise _name_taken(username)
    try:
        with transaction.atomic():
            person = User.objects.create_user(username, password=password, **profile.columns())
    except IntegrityError:
        raise _name_taken(username) from None
    audit.record(actor, "people.add", username, role=profile.role)
    notify.changed("people")
    return person


def change(actor: Actor, person: User, profile: Profile) -> User:
    """Another profile. Raises Denied, or Refused when nobody would be left to administer."""
    return _change(actor, person, profile.columns())


def set_active(actor: Actor, person: User, active: bool) -> User:
    """Let a person in, or keep them out. Raises as :func:`change` does."""
    return _change(actor, person, {"is_active": active})


def _change(actor: Actor, person: User, columns: dict[str, Any]) -> User:
    _require_manager(actor, "people.change", person.username)
    try:
        with transaction.atomic():
            row, changes = _locked_change(actor, person, columns)
    except (access.Denied, Refused) as error:
        audit.record(actor, "people.change", person.username, result="refused", reason=str(error))
        raise
    if changes:
        audit.record(actor, "people.change", row.username, **changes)
    if any(name in changes for name in RIGHTS):
        drop_sessions(row)
    notify.changed("people")
    return row


def _locked_change(actor: Actor, person: User, columns: dict[str, Any]) -> tuple[User, dict[str, str]]:
    """Write the columns that differ; the second value tells each as 'before → after'."""
    row, is_last = _locked(actor, person)
    changes = {name: value for name, value in columns.items() if value != getattr(row, name)}
    told = {name: f"{getattr(row, name)} → {value}" for name, value in changes.items()}
    for name, value in changes.items():
        setattr(row, name, value)
    if is_last and not (row.role == User.Role.ADMINISTRATOR and row.is_active):
        raise Refused(_("%(name)s is the last administrator; make another one first.") % {"name": row.username})
    if changes:
        row.save(update_fields=list(changes))
    return row, told


def set_password(actor: Actor, person: User, password: str) -> None:
    """Another password; whoever is logged in with the old one is not any more."""
    _require_manager(actor, "people.password", person.username)
    person.set_password(password)
    person.save(update_fields=["password"])
    audit.record(actor, "people.password", person.username)
    drop_sessions(person)


def drop_second_factor(actor: Actor, person: User) -> int:
    """For a person who lost phone and recovery codes: the password alone lets in again. Returns how many were dropped."""
    from allauth.mfa.models import Authenticator

    _require_manager(actor, "people.second_factor", person.username)
    dropped: int = Authenticator.objects.filter(user=person).delete()[0]
    audit.record(actor, "people.second_factor", person.username, dropped=dropped)
    drop_sessions(person)
    return dropped


def drop_sessions(person: User) -> int:
    """Log the person out everywhere, and close the pages they have open. Returns how many sessions there were."""
    rows = Session.objects.filter(expire_date__gt=timezone.now()).iterator()
    theirs = [row.pk for row in rows if row.get_decoded().get(SESSION_KEY) == str(person.pk)]
    Session.objects.filter(pk__in=theirs).delete()
    notify.changed(f"user:{person.pk}", "people")
    return len(theirs)


def make_token(actor: Actor, name: str, expires_at: datetime | None = None) -> tuple[ApiToken, str]:
    """A token of the actor's own; the second value is its text, which is stored nowhere."""
    user = actor.user
    if user is None or not access.may(user, "token.own"):
        raise access.Denied(_("You do not have the right to do this."))
    if usable(user) >= MOST_TOKENS:
        raise Refused(_("You have %(n)d tokens; revoke one that is not needed any more.") % {"n": MOST_TOKENS})
    row, text = ApiToken.issue(user, name, expires_at)
    audit.record(actor, "token.make", name, prefix=row.prefix)
    return row, text


def usable(user: User) -> int:
    """How many tokens of the user's are not revoked."""
    return ApiToken.objects.filter(user=user, revoked_at=None).count()


def revoke_token(actor: Actor, token: ApiToken) -> bool:
    """From now on it opens nothing. Raises Denied for another person's token, unless an administrator asks."""
    user = actor.user
    own = user is not None and user.pk == token.user_id and access.may(user, "token.own")
    if not own:
        _require_manager(actor, "token.revoke", token.name)
    done = ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())
    if done:
        audit.record(actor, "token.revoke", token.name, prefix=token.prefix, owner=token.user.username)
    return bool(done)


def _require_manager(actor: Actor, action: str, subject: str) -> None:
    """Raise Denied, on record, for anybody who does not manage people."""
    try:
        access.require(actor.user or AnonymousUser(), "people.manage")
    except access.Denied:
        audit.record(actor, action, subject, result="refused")
        raise


def _locked(actor: Actor, person: User) -> tuple[User, bool]:
    """The person's row, held so that nobody changes it meanwhile, and whether it is the last administrator's.

    All administrators' rows are held, in one order: two who take the right from each other at the same moment come one after
    the other, and the second has lost it by then. (On SQLite the transaction itself holds everything.)
    """
    administrators = User.objects.filter(role=User.Role.ADMINISTRATOR, is_active=True).order_by("pk")
    held = {row.pk: row for row in administrators.select_for_update()}
    if actor.user is not None and actor.user.pk not in held:
        raise access.Denied(_("You do not have the right to do this any more."))
    row = held.get(person.pk) or User.objects.select_for_update().get(pk=person.pk)
    return row, set(held) == {row.pk}


def _name_taken(username: str) -> InvalidArguments:
    return InvalidArguments("username", _("There is somebody called %(name)s already.") % {"name": username})
