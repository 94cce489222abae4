"""Addresses of storage, below ``hosts/storage/``.

A pool is named by its UUID, since names may hold anything, and a volume by its number.
"""

from __future__ import annotations

from django.urls import URLPattern, path

from hosts.views import storage_act, storage_define, storage_lists, storage_pool, storage_upload

storage_patterns: list[URLPattern] = [
    path("", storage_lists.pools, name="storage"),
    path("library/", storage_lists.library, name="storage_library"),
    path("unused/", storage_lists.unused, name="storage_unused"),
    path("define/", storage_define.define, name="pool_define"),
    path("define/find/", storage_define.find, name="pool_find"),
    path("define/found/<uuid:key>/", storage_define.found, name="pool_found"),
    path("<str:name>/<uuid:pool>/", storage_pool.pool_page, name="pool"),
    path("<str:name>/<uuid:pool>/do/<slug:kind>/", storage_act.pool, name="pool_act"),
    path("<str:name>/<uuid:pool>/upload/", storage_upload.upload, name="pool_upload"),
    path("upload/standing/<uuid:key>/", storage_upload.stand, name="upload"),
    path("<str:name>/<uuid:pool>/shared/", storage_pool.shared, name="pool_shared"),
    path("<str:name>/<uuid:pool>/forget/", storage_pool.forget, name="pool_forget"),
    path("<str:name>/<uuid:pool>/volume/<int:key>/", storage_pool.volume_page, name="volume"),
    path("<str:name>/<uuid:pool>/volume/<int:key>/download/", storage_upload.download_volume, name="volume_download"),
    path("<str:name>/<uuid:pool>/volume/<int:key>/do/<slug:kind>/", storage_act.volume, name="volume_act"),
]
