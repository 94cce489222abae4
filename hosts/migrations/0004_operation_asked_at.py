"""Operations know whether libvirt was asked. Of those that run while this is applied it is not known, so: yes."""

from django.db import migrations, models
from django.db.models import F


def assume_asked(apps, schema_editor):
    operations = apps.get_model("hosts", "Operation").objects.using(schema_editor.connection.alias)
    operations.filter(state="running").exclude(kind="bulk").update(asked_at=F("started_at"))


class Migration(migrations.Migration):

    dependencies = [
        ("hosts", "0003_worker"),
    ]

    operations = [
        migrations.AddField(
            model_name="operation",
            name="asked_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.RunPython(assume_asked, migrations.RunPython.noop),
    ]
