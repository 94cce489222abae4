"""Template tags and filters which every page shares: icons, state marks, and figures with their units."""

from __future__ import annotations

import datetime as dt
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from django import template
from django.forms.boundfield import BoundWidget
from django.http import QueryDict
from django.template.context import RequestContext
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy

register = template.Library()

NOTHING = "–"
BINARY_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
DECIMAL_UNITS = ("bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s")
MINUTE, HOUR, DAY = 60, 3600, 86400


# --- icons -----------------------------------------------------------------------------------------------------------


@register.simple_tag
def icon(name: str, css: str = "", label: str = "") -> SafeString:
    """Draw one Tabler icon from the sprite; with a label it is content, without one it is decoration."""
    classes = f"icon {css}".strip()
    href = f"{static('vendor/icons.svg')}#{name}"
    if label:
        return format_html('<svg class="{}" role="img" aria-label="{}"><use href="{}"/></svg>', classes, label, href)
    return format_html('<svg class="{}" aria-hidden="true"><use href="{}"/></svg>', classes, href)


# --- states ----------------------------------------------------------------------------------------------------------


class Mark(NamedTuple):
    """How a state looks (tone and shape) and what it is called."""

    tone: str
    shape: str
    label: str | Promise


# Shapes are drawn here and not in the sprite: a list has a thousand of them, and they must be there at first paint.
SHAPES = {
    "disc": '<circle cx="6" cy="6" r="4.5" fill="currentColor"/>',
    "bars": '<path d="M3 2h2.2v8H3zM6.8 2H9v8H6.8z" fill="currentColor"/>',
    "ring": '<circle cx="6" cy="6" r="3.8" fill="none" stroke="currentColor" stroke-width="1.6"/>',
    "cross": '<path d="M2.5 2.5l7 7m0-7l-7 7" fill="none" stroke="currentColor" stroke-width="2"/>',
    "arrow": '<path d="M1 6h8M6 2.5L9.8 6 6 9.5" fill="none" stroke="currentColor" stroke-width="1.8"/>',
    "moon": '<path d="M8.8 8.2A4.4 4.4 0 0 1 4.6 1.8a4.6 4.6 0 1 0 4.2 6.4z" fill="currentColor"/>',
    "hatch": '<path d="M1.5 6L6 1.5M2.2 9.3l7.1-7.1M6 10.5L10.5 6" fill="none" stroke="currentColor"'
    ' stroke-width="1.5"/>',
    "half": '<circle cx="6" cy="6" r="3.8" fill="none" stroke="currentColor" stroke-width="1.6"/>'
    '<path d="M6 2.2a3.8 3.8 0 0 1 0 7.6z" fill="currentColor"/>',
    "lock": '<path d="M4 5.5V4a2 2 0 0 1 4 0v1.5" fill="none" stroke="currentColor" stroke-width="1.4"/>'
    '<path d="M2.5 5.5h7v5h-7z" fill="currentColor"/>',
    "bang": '<path d="M6 1l5.2 9.5H.8z" fill="currentColor"/>',
    "tick": '<path d="M2 6.5l2.8 2.8L10 3.5" fill="none" stroke="currentColor" stroke-width="1.9"/>',
    "bar": '<path d="M2.2 6h7.6" fill="none" stroke="currentColor" stroke-width="2"/><circle cx="6" cy="6" r="5"'
    ' fill="none" stroke="currentColor" stroke-width="1.2"/>',
    "dots": '<path d="M1.5 5h2v2h-2zM5 5h2v2H5zM8.5 5h2v2h-2z" fill="currentColor"/>',
}

UNKNOWN = Mark("unknown", "hatch", pgettext_lazy("state", "Unknown"))

MARKS: dict[str, dict[str, Mark]] = {
    "vm": {
        "running": Mark("running", "disc", pgettext_lazy("power state", "Running")),
        "paused": Mark("paused", "bars", pgettext_lazy("power state", "Paused")),
        "shutoff": Mark("off", "ring", pgettext_lazy("power state", "Shut off")),
        "shutdown": Mark("paused", "half", pgettext_lazy("power state", "Shutting down")),
        "crashed": Mark("failed", "cross", pgettext_lazy("power state", "Crashed")),
        "migrating": Mark("moving", "arrow", pgettext_lazy("power state", "Migrating")),
        "pmsuspended": Mark("paused", "moon", pgettext_lazy("power state", "Asleep")),
        "unreachable": Mark("unknown", "hatch", pgettext_lazy("power state", "Unreachable")),
        "absent": Mark("unknown", "ring", pgettext_lazy("power state", "Gone")),
        "unknown": UNKNOWN,
    },
    "host": {
        "connected": Mark("running", "disc", pgettext_lazy("host state", "Connected")),
        "connecting": Mark("moving", "half", pgettext_lazy("host state", "Connecting")),
        "unreachable": Mark("failed", "cross", pgettext_lazy("host state", "Unreachable")),
        "refused": Mark("failed", "bang", pgettext_lazy("host state", "Refused")),
        "auth": Mark("paused", "lock", pgettext_lazy("host state", "Sign-in failed")),
        "hostkey": Mark("paused", "bang", pgettext_lazy("host state", "Host key not trusted")),
        "certificate": Mark("paused", "lock", pgettext_lazy("host state", "Certificate not trusted")),
        "silent": Mark("failed", "dots", pgettext_lazy("host state", "Not answering")),
        "failed": Mark("failed", "cross", pgettext_lazy("host state", "Failed")),
        "disabled": Mark("off", "bar", pgettext_lazy("host state", "Disabled")),
        "unknown": UNKNOWN,
    },
    "operation": {
        "queued": Mark("off", "dots", pgettext_lazy("operation state", "Queued")),
        "running": Mark("moving", "half", pgettext_lazy("operation state", "Running")),
        "succeeded": Mark("running", "tick", pgettext_lazy("operation state", "Succeeded")),
        "refused": Mark("paused", "bar", pgettext_lazy("operation state", "Refused")),
        "failed": Mark("failed", "cross", pgettext_lazy("operation state", "Failed")),
        "cancelled": Mark("off", "bar", pgettext_lazy("operation state", "Cancelled")),
        "unknown": UNKNOWN,
    },
    "resource": {
        "active": Mark("running", "disc", pgettext_lazy("resource state", "Active")),
        "inactive": Mark("off", "ring", pgettext_lazy("resource state", "Inactive")),
        "building": Mark("moving", "half", pgettext_lazy("resource state", "Building")),
        "degraded": Mark("paused", "bang", pgettext_lazy("resource state", "Degraded")),
        "inaccessible": Mark("failed", "cross", pgettext_lazy("resource state", "Inaccessible")),
        "unknown": UNKNOWN,
    },
}


@register.simple_tag
def state_mark(kind: str, value: str, *, short: bool = False) -> SafeString:
    """Show a state by shape, word and colour; ``short`` keeps the word for screen readers and the tooltip only."""
    mark = MARKS[kind].get(str(value), UNKNOWN)
    shape = mark_safe(SHAPES[mark.shape])  # noqa: S308  # a constant of this module
    if short:
        return format_html(
            '<span class="state state-{} is-short" title="{}"><svg class="state-shape" viewBox="0 0 12 12"'
            ' aria-hidden="true">{}</svg><span class="visually-hidden">{}</span></span>',
            mark.tone,
            mark.label,
            shape,
            mark.label,
        )
    return format_html(
        '<span class="state state-{}"><svg class="state-shape" viewBox="0 0 12 12" aria-hidden="true">{}</svg>'
        '<span class="state-word">{}</span></span>',
        mark.tone,
        shape,
        mark.label,
    )


@register.filter
def state_label(value: str, kind: str = "vm") -> str:
    """The word for a state, for places where no mark can be drawn (an <option>, a title)."""
    return str(MARKS[kind].get(str(value), UNKNOWN).label)


# --- figures ---------------------------------------------------------------------------------------------------------


def _number(value: Any) -> float | None:
    """A float, or None for whatever is no number: a page shows a dash, it does not break."""
    if value is None or value == "":
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _localised(number: float) -> str:
    """Three significant digits are what an eye can use: 1.46, 14.6, 146."""
    decimals = 0 if abs(number) >= 100 or number == int(number) else 1 if abs(number) >= 10 else 2
    return number_format(number, decimal_pos=decimals, use_l10n=True)


def _scaled(number: float, units: tuple[str, ...], step: int) -> str:
    index = 0
    while abs(number) >= step and index < len(units) - 1:
        number /= step
        index += 1
    return f"{_localised(number)} {units[index]}"


@register.filter
def bytes(value: Any) -> str:  # noqa: A001  # the name people look for in a template
    """A size in bytes with a binary prefix: ``1.46 GiB``."""
    number = _number(value)
    return NOTHING if number is None else _scaled(number, BINARY_UNITS, 1024)


@register.filter
def kib(value: Any) -> str:
    """A size which libvirt gave in KiB, with a binary prefix."""
    number = _number(value)
    return NOTHING if number is None else _scaled(number * 1024, BINARY_UNITS, 1024)


@register.filter
def rate(value: Any) -> str:
    """Bytes per second with a binary prefix: ``12 MiB/s``."""
    text = bytes(value)
    return text if text == NOTHING else f"{text}/s"


@register.filter
def bits(value: Any) -> str:
    """Bytes per second shown as network people do: ``940 Mbit/s``."""
    number = _number(value)
    return NOTHING if number is None else _scaled(number * 8, DECIMAL_UNITS, 1000)


@register.filter
def percent(value: Any) -> str:
    """A figure which already is a percentage: ``12.5 %``, as format.js goes on writing it."""
    number = _number(value)
    return NOTHING if number is None else f"{number_format(round(number, 1), decimal_pos=1, use_l10n=True)} %"


@register.filter
def unlocalised(value: Any) -> str:
    """A number as HTML attributes want it, whatever the language: ``12.5``, never ``12,5``."""
    number = _number(value)
    if number is None:
        return ""
    # Row numbers and lengths to the last digit: 12345 must not become 1.234e+04.
    return str(int(number)) if float(number).is_integer() else f"{number:.4g}"


@register.filter
def share(part: Any, whole: Any) -> float | None:
    """Part of a whole in percent, between 0 and 100, for bars; None if there is nothing to divide."""
    top, bottom = _number(part), _number(whole)
    if top is None or not bottom:
        return None
    return min(100.0, max(0.0, top / bottom * 100))


@register.filter
def duration(value: Any) -> str:
    """A timedelta or seconds as the two units which matter: ``3 d 4 h``, ``2 min 5 s``, ``0.4 s``."""
    seconds = value.total_seconds() if isinstance(value, dt.timedelta) else _number(value)
    if seconds is None:
        return NOTHING
    if seconds < MINUTE:
        return _("%(n)s s") % {"n": _localised(round(seconds, 1) if seconds < 10 else round(seconds))}
    whole = int(seconds)
    if whole < HOUR:
        return _("%(m)d min %(s)d s") % {"m": whole // MINUTE, "s": whole % MINUTE}
    if whole < DAY:
        return _("%(h)d h %(m)d min") % {"h": whole // HOUR, "m": whole % HOUR // MINUTE}
    return _("%(d)d d %(h)d h") % {"d": whole // DAY, "h": whole % DAY // HOUR}


@register.filter
def ago(value: dt.datetime | None) -> str:
    """How long ago, in the same words which age.js goes on counting with."""
    if value is None:
        return _("never")
    seconds = int((timezone.now() - value).total_seconds())
    if seconds < 1:
        return _("just now")
    if seconds < MINUTE:
        return _("%(n)d s ago") % {"n": seconds}
    if seconds < HOUR:
        return _("%(n)d min ago") % {"n": seconds // MINUTE}
    if seconds < DAY:
        return _("%(n)d h ago") % {"n": seconds // HOUR}
    return _("%(n)d d ago") % {"n": seconds // DAY}


@register.filter
def figure(value: Any, unit: str = "") -> str:
    """A figure in the unit which a partial was told: bytes, kib, rate, bits, percent, duration or a plain number."""
    wording = {"bytes": bytes, "kib": kib, "rate": rate, "bits": bits, "percent": percent, "duration": duration}
    if unit in wording:
        return str(wording[unit](value))
    number = _number(value)
    return NOTHING if number is None else _localised(number)


# --- navigation and forms --------------------------------------------------------------------------------------------


@register.simple_tag(takes_context=True)
def nav_current(context: RequestContext, key: str, *patterns: str) -> SafeString:
    """``aria-current`` for a navigation link, if the page says ``nav = key`` or its URL name matches a pattern."""
    if context.get("nav"):
        here = context["nav"] == key
    else:
        match = getattr(context.get("request"), "resolver_match", None)
        name = getattr(match, "view_name", None) or ""
        here = any(fnmatchcase(name, pattern) for pattern in patterns)
    return mark_safe('aria-current="page"') if here else mark_safe("")


@register.simple_tag(takes_context=True)
def url_with(context: RequestContext, **changes: Any) -> str:
    """The address of this page with some query parameters changed, or dropped where the value is None."""
    request = context.get("request")
    query = request.GET.copy() if request is not None else QueryDict(mutable=True)
    for name, value in changes.items():
        if value is None:
            query.pop(name, None)
        else:
            query[name] = value
    return f"?{query.urlencode()}"


@register.simple_tag
def sort_state(name: str, sort: str | None) -> SafeString:
    """``aria-sort`` for the head of a column."""
    direction = {name: "ascending", f"-{name}": "descending"}.get(sort or "")
    return format_html('aria-sort="{}"', direction) if direction else mark_safe("")


@register.filter
def widget_kind(field: Any) -> str:
    """Which Tabler look a bound field wants: checkbox, choices (radio or many checkboxes), select, file or control."""
    input_type = getattr(field.field.widget, "input_type", "")
    if input_type == "checkbox" and hasattr(field.field.widget, "choices"):
        return "choices"
    if input_type == "radio":
        return "choices"
    return input_type if input_type in {"checkbox", "select", "file", "hidden"} else "control"


@register.filter
def choices_of(field: Any) -> list[tuple[SafeString, Any, str]]:
    """Each choice of a group of radios or checkboxes: its input with Tabler's class, its label, the id that ties both."""
    look = {"class": f"form-check-input{' is-invalid' if field.errors else ''}", "id": field.auto_id}
    attrs, widget = field.build_widget_attrs(look), field.field.widget
    rows = [
        BoundWidget(widget, data, field.form.renderer)
        for data in widget.subwidgets(field.html_name, field.value(), attrs=attrs)
    ]
    return [(SafeString(row.tag()), row.choice_label, row.id_for_label) for row in rows]


@register.filter
def with_look(field: Any) -> SafeString:
    """Render a bound field's input with Tabler's class and tied to its help and errors for screen readers."""
    classes = {"checkbox": "form-check-input", "select": "form-select"}
    look = classes.get(widget_kind(field), "form-control")
    own = field.field.widget.attrs.get("class", "")
    invalid = " is-invalid" if field.errors else ""
    attrs = {"class": f"{look}{invalid} {own}".strip()}
    described = [
        f"{field.id_for_label}_{part}"
        for part, there in (("help", field.help_text), ("error", field.errors))
        if there and field.id_for_label
    ]
    if described:
        attrs["aria-describedby"] = " ".join(described)
    return SafeString(field.as_widget(attrs=attrs))
