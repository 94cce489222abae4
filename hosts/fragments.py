"""Pieces of pages that are rendered again when what they show changes.

A *key* names one piece: ``vm-row:<uuid>``. Its name before the colon finds the Fragment, which tells which topics it depends on,
whether a user may see it, and how it is rendered. The page includes the same template.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.template.loader import render_to_string
from django.utils import translation

from hosts import access
from hosts.models import User

#: what a fragment shows: the template's context, or None when the thing is gone
Context = dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Fragment:
    """One kind of piece. ``context(identifier, user)`` reads the rows; ``topics(identifier)`` says when to do so again.

    ``keepalive(identifier)`` is called every few seconds for as long as somebody watches the piece. What is ``late``
    (around the page, or much of the cluster) is rendered when what the page is about has been sent.
    """

    name: str
    template: str
    verb: str
    topics: Callable[[str], list[str]]
    context: Callable[[str, User], Context]
    keepalive: Callable[[str], None] | None = None
    late: bool = False


registry: dict[str, Fragment] = {}


def register(fragment: Fragment) -> None:
    """Make a fragment known."""
    registry[fragment.name] = fragment


def split(key: str) -> tuple[Fragment | None, str]:
    """The fragment of a key and the identifier; (None, …) for keys nobody registered."""
    name, _, identifier = key.partition(":")
    return registry.get(name), identifier


def keep_alive(keys: list[str]) -> None:
    """Somebody still watches these."""
    for key in keys:
        fragment, identifier = split(key)
        if fragment is not None and fragment.keepalive is not None:
            fragment.keepalive(identifier)


def wants_keepalive(key: str) -> bool:
    """Whether the piece is of a kind that must hear that it is watched."""
    fragment, _identifier = split(key)
    return fragment is not None and fragment.keepalive is not None


def is_late(key: str) -> bool:
    """Whether others are rendered before it."""
    fragment, _identifier = split(key)
    return fragment is not None and fragment.late


def may_watch(user: access.AnyUser, key: str) -> bool:
    """Whether the user may see this piece."""
    if key.startswith("figures:"):
        subject = key.split(":")[1]
        return access.may(user, {"vm": "vm.view", "host": "host.view"}.get(subject, ""))
    fragment, _identifier = split(key)
    return fragment is not None and access.may(user, fragment.verb)


def render(key: str, user: User, language: str) -> str | None:
    """The piece as HTML for users of this one's rights; None when the thing is gone."""
    fragment, identifier = split(key)
    if fragment is None:
        return None
    with translation.override(language):
        context = fragment.context(identifier, user)
        if context is None:
            return None
        may = access.rights_of(user)
        return render_to_string(fragment.template, {**context, "may": may, "user": user, "fragment_key": key})
