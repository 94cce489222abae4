import django.db.models.deletion
import django.utils.timezone
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('hosts', '0006_operation_secret'),
    ]

    operations = [
        migrations.CreateModel(
            name='Filling',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=1000)),
                ('state', models.CharField(choices=[('beginning', 'Beginning'), ('open', 'Open'), ('whole', 'Whole'), ('bad', 'Bad'), ('ended', 'Ended')], default='beginning', max_length=10)),
                ('partial', models.BooleanField(default=False)),
                ('size', models.BigIntegerField(default=0)),
                ('offset', models.BigIntegerField(default=0)),
                ('confirmed', models.BigIntegerField(default=0)),
                ('holder', models.CharField(blank=True, max_length=120)),
                ('moved_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('fingerprint', models.CharField(blank=True, max_length=64)),
                ('checksum', models.CharField(blank=True, max_length=140)),
                ('digest', models.CharField(blank=True, max_length=140)),
                ('version', models.CharField(blank=True, max_length=300)),
                ('trouble', models.TextField(blank=True)),
                ('operation', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='filling', to='hosts.operation')),
                ('pool', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='fillings', to='hosts.storagepool')),
            ],
            options={
                'indexes': [models.Index(fields=['pool', 'name'], name='filling_place')],
            },
        ),
    ]
