"""Static files with a hash in their names, for production."""

from __future__ import annotations

from whitenoise.storage import CompressedManifestStaticFilesStorage

# Only modules which we know to use plain relative imports: rewriting everybody's JavaScript (the admin, API docs)
# with regular expressions would be asking for trouble.
MODULE_FOLDERS = ("js/*.js", "vendor/*.js")


class StaticStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Whitenoise's manifest storage which also hashes the imports between our ES modules.

    Without that a browser could load a new ``live.js`` together with an old ``morph.js`` from its cache. Django offers
    it as ``support_js_module_import_aggregation``, but for every ``*.js``; the same patterns are applied here to
    our own folders alone. Modules must not import each other in a circle and every import ends with a semicolon.
    """

    patterns = (
        *CompressedManifestStaticFilesStorage.patterns,
        *(
            (folder, CompressedManifestStaticFilesStorage._js_module_import_aggregation_patterns[1])
            for folder in MODULE_FOLDERS
        ),
    )
