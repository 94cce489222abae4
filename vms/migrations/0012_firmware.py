"""What boots each guest, read from the definitions that are known already: the mirror reads them again only when they change."""

from django.db import migrations, models


def read_it(apps, schema_editor):
    """Set it for every guest whose definition can be read."""
    from vms.definition.summary import firmware
    from vms.definition.xml import MalformedDefinition, parse

    machines = apps.get_model("vms", "VirtualMachine").objects.using(schema_editor.connection.alias)
    sightings = apps.get_model("vms", "Sighting").objects.using(schema_editor.connection.alias)
    rows = sightings.filter(absent_since=None).values_list("vm_id", "live_definition", "inactive_definition")
    for uuid, live, inactive in rows.iterator(chunk_size=200):
        try:
            found = firmware(parse(live or inactive))
        except MalformedDefinition:
            continue
        if found:
            machines.filter(pk=uuid).update(firmware=found)


class Migration(migrations.Migration):

    dependencies = [
        ("vms", "0011_serial_consoles"),
    ]

    operations = [
        migrations.AddField(
            model_name="virtualmachine",
            name="firmware",
            field=models.CharField(blank=True, max_length=10),
        ),
        migrations.RunPython(read_it, migrations.RunPython.noop, elidable=True),
    ]
