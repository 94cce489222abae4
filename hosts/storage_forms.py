"""Forms about storage."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import storage_changes
from hosts.audit import Actor
from hosts.models import StoragePool


class SharedForm(forms.Form):
    """Which other host's pool is the same storage as ``pool``."""

    same = forms.ChoiceField(
        label=gettext_lazy("It is"),
        required=False,
        help_text=gettext_lazy(
            "Pools that are the same storage are counted once, and a volume is used when a guest of any of them uses it."
        ),
    )

    def __init__(self, *args: Any, pool: StoragePool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pool = pool
        others = StoragePool.objects.filter(absent_since=None).exclude(host_id=pool.host_id).select_related("host")
        self.others = {str(other.pk): other for other in others.defer("definition", "host__capabilities")}
        field = self.fields["same"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [
            ("", _("what kvmdash finds out by itself")),
            ("alone", _("storage of this host alone")),
            *[(key, _("the same as %(pool)s of %(host)s") % {"pool": other.name, "host": other.host.name})
              for key, other in self.others.items()],
        ]  # fmt: skip
        if pool.shared_by == "person":
            twin = next((key for key, other in self.others.items() if other.shared_key == pool.shared_key), "alone")
            self.initial["same"] = twin if pool.shared_key else "alone"

    def apply(self, actor: Actor) -> None:
        """Note it. Raises access.Denied or Refused."""
        chosen = self.cleaned_data["same"]
        if chosen == "alone":
            storage_changes.say_alone(self.pool, actor)
        elif chosen:
            storage_changes.say_same(self.pool, self.others[chosen], actor)
        else:
            storage_changes.say_nothing(self.pool, actor)
