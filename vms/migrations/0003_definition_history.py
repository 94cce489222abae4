import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import hosts.secrets


def forget_digests(apps, schema_editor):
    apps.get_model("vms", "Sighting").objects.update(digest="")


class Migration(migrations.Migration):
    dependencies = [
        ("hosts", "0004_operation_asked_at"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("vms", "0002_claims_on_storage"),
        ("vms", "0002_sighting_snapshots"),
    ]

    operations = [
        migrations.CreateModel(
            name="DefinitionVersion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("host_name", models.CharField(blank=True, max_length=63)),
                (
                    "kind",
                    models.CharField(
                        choices=[("inactive", "next boot"), ("live", "live")], default="inactive", max_length=8
                    ),
                ),
                ("digest", models.CharField(blank=True, max_length=64)),
                ("mark", models.CharField(max_length=64)),
                ("text", models.TextField()),
                ("seen_at", models.DateTimeField()),
                ("actor_name", models.CharField(blank=True, max_length=150)),
                ("changes", models.JSONField(default=list)),
                ("changes_count", models.PositiveIntegerField(default=0)),
                (
                    "actor",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "host",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to="hosts.host"
                    ),
                ),
                (
                    "operation",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="definitions",
                        to="hosts.operation",
                    ),
                ),
                (
                    "vm",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="versions", to="vms.virtualmachine"
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.AddField(
            model_name="sighting",
            name="version",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="sightings",
                to="vms.definitionversion",
            ),
        ),
        migrations.CreateModel(
            name="TypedSecrets",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("sealed", hosts.secrets.SecretField()),
                (
                    "operation",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="hosts.operation"
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="definitionversion",
            index=models.Index(fields=["vm", "-id"], name="definition_history"),
        ),
        # The history begins when a definition is taken in: let the next look take in all of them.
        migrations.RunPython(forget_digests, migrations.RunPython.noop),
    ]
