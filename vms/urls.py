"""Addresses of guests."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from vms.views import (
    act,
    bulk,
    create,
    definition,
    definition_edit,
    definition_history,
    figures,
    forget,
    listing,
    machine,
    moves,
    plans,
    policies,
    preflight,
    processors,
    schedules,
    systems,
)

app_name = "vms"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", listing.vm_list, name="list"),
    path("new/", create.new, name="new"),
    path("new/look/", create.look, name="new_look"),
    path("systems/", systems.systems, name="systems"),
    path("systems/forget/", systems.forget, name="systems_forget"),
    path("bulk/", bulk.bulk, name="bulk"),
    path("bulk/confirm/", bulk.confirm, name="bulk_confirm"),
    path("preflight/", preflight.many, name="preflight_many"),
    path("policies/", policies.page, name="policies"),
    path("plans/", plans.plans, name="plans"),
    path("plans/<uuid:key>/", plans.plan, name="plan"),
    path("plans/<uuid:key>/change/", plans.change, name="plan_change"),
    path("plans/<uuid:key>/<slug:verb>/", plans.tell, name="plan_tell"),
    path("balance/", plans.balance, name="balance"),
    path("maintenance/<str:name>/", plans.maintenance, name="maintenance"),
    path("processors/", processors.processors, name="processors"),
    path("<uuid:key>/preflight/", preflight.preflight, name="preflight"),
    path("<uuid:key>/", machine.machine, name="detail"),
    path("<uuid:key>/history.json", figures.history, name="history"),
    path("<uuid:key>/screenshot.png", figures.screenshot, name="screenshot"),
    path("<uuid:key>/steer/<slug:name>/", act.steer, name="steer"),
    path("<uuid:key>/moves/<uuid:operation>/", moves.record, name="move"),
    path("<uuid:key>/forget/", forget.forget, name="forget"),
    path("<uuid:key>/do/<slug:name>/", act.act, name="act"),
    path("<uuid:key>/do/<slug:name>/virsh/", act.preview, name="preview"),
    path("<uuid:key>/definition/<slug:which>.xml", definition.download, name="definition_file"),
    path("<uuid:key>/definition/edit/", definition_edit.edit, name="definition_edit"),
    path("<uuid:key>/definition/versions/", definition_history.versions, name="definition_versions"),
    path("<uuid:key>/definition/versions/<int:number>/", definition_history.version, name="definition_version"),
    path(
        "<uuid:key>/definition/versions/<int:number>.xml",
        definition_history.version_file,
        name="definition_version_file",
    ),
    path("<uuid:key>/definition/compare/", definition_history.compare, name="definition_compare"),
    path("<uuid:key>/schedules/add/", schedules.edit, name="schedule_add"),
    path("<uuid:key>/schedules/<int:number>/", schedules.edit, name="schedule"),
    path("<uuid:key>/schedules/<int:number>/remove/", schedules.remove, name="schedule_remove"),
    path("<uuid:uuid>/console/", include("vms.console.urls")),
    path("<uuid:key>/<slug:tab>/", machine.machine, name="tab"),
]
