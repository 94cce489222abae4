"""Figures live in their own database."""

from __future__ import annotations

from typing import Any

METRICS = "metrics"
METRICS_MODELS = {("hosts", "sample")}


class MetricsRouter:
    """Sends hosts.Sample to the ``metrics`` alias and everything else to ``default``."""

    def db_for_read(self, model: Any, **_: object) -> str | None:
        return METRICS if (model._meta.app_label, model._meta.model_name) in METRICS_MODELS else None

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **_: object) -> bool | None:
        if (app_label, model_name) in METRICS_MODELS:
            return db == METRICS
        return False if db == METRICS else None
