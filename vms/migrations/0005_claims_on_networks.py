"""Claims on networks are made when a definition is taken in: let the next look take in all of them."""

from django.db import migrations


def forget_digests(apps, schema_editor):
    apps.get_model("vms", "Sighting").objects.update(digest="")


class Migration(migrations.Migration):
    dependencies = [("vms", "0004_protected_and_template"), ("hosts", "0008_networks")]

    operations = [migrations.RunPython(forget_digests, migrations.RunPython.noop)]
