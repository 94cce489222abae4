"""What only serves never loads libvirt."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import os, sys
import django
django.setup()
from django.conf import settings
from django.urls import get_resolver
assert len(get_resolver().url_patterns) > 5
import kvmdash.api, kvmdash.asgi, hosts.consumers, vms.console.relay
assert kvmdash.api.api.get_openapi_schema()["paths"]
print("libvirt" in sys.modules)
"""


def test_pages_api_and_consumers_do_not_load_libvirt() -> None:
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "kvmdash.settings_test"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.strip() == "False", done.stderr
