"""Addresses of administration."""

from django.urls import URLPattern, path

from hosts.views import audit, people, tokens

administration_patterns: list[URLPattern] = [
    path("", people.users, name="users"),
    path("people/add/", people.add, name="user_add"),
    path("people/<int:key>/", people.edit, name="user_edit"),
    path("people/<int:key>/password/", people.password, name="user_password"),
    path("people/<int:key>/disable/", people.set_active, {"active": False}, name="user_disable"),
    path("people/<int:key>/enable/", people.set_active, {"active": True}, name="user_enable"),
    path("people/<int:key>/second-factor/", people.second_factor, name="user_second_factor"),
    path("audit/", audit.audit_list, name="audit"),
    path("tokens/", tokens.tokens, name="tokens"),
    path("tokens/<int:key>/revoke/", tokens.revoke, name="token_revoke"),
]
