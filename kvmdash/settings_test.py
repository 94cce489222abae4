"""Settings of the tests: a data folder of their own, quick passwords, short intervals."""

import os
import tempfile

os.environ.setdefault("KVMDASH_DATA_DIR", tempfile.mkdtemp(prefix="kvmdash-tests-"))
os.environ.setdefault("KVMDASH_LOG_LEVEL", "ERROR")
os.environ.setdefault("KVMDASH_LEASE_SECONDS", "5")
os.environ.setdefault("KVMDASH_TICK_SECONDS", "0.5")

from kvmdash.settings import *  # noqa: F403
from kvmdash.settings import DATA_DIR, DATABASES

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
for _alias, _database in DATABASES.items():
    if _database["ENGINE"] == "django.db.backends.sqlite3":
        # A file, because the roles' threads have connections of their own.
        _database["TEST"] = {"NAME": str(DATA_DIR / f"test-{_alias}.sqlite3")}
ALLOWED_HOSTS = ["*"]
