"""The tables."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    replaces = [
        ("connectors", "0001_initial"),
        ("connectors", "0002_sources"),
        ("connectors", "0003_quarantine"),
        ("connectors", "0004_retirement"),
        ("connectors", "0005_access_token"),
    ]

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='AccessToken',
            fields=[
                ('account', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('sealed', models.BinaryField(default=b'')),
                ('expires_at', models.DateTimeField(null=True)),
                ('asking_until', models.DateTimeField(null=True)),
            ],
            options={
                'verbose_name': 'access token',
                'verbose_name_plural': 'access tokens',
            },
        ),
        migrations.CreateModel(
            name='InboundKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source', models.CharField(max_length=32, verbose_name='source')),
                ('name', models.CharField(max_length=64, verbose_name='sender')),
                ('digest', models.CharField(max_length=64, unique=True)),
                ('hint', models.CharField(max_length=12, verbose_name='key')),
                ('by', models.CharField(blank=True, max_length=150, verbose_name='by')),
                ('created_at', models.DateTimeField(verbose_name='created')),
                ('used_at', models.DateTimeField(null=True, verbose_name='last used')),
                ('revoked_at', models.DateTimeField(null=True, verbose_name='revoked')),
            ],
            options={
                'verbose_name': "sender's key",
                'verbose_name_plural': "senders' keys",
            },
        ),
        migrations.CreateModel(
            name='Landed',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source', models.CharField(max_length=32, verbose_name='source')),
                ('body', models.JSONField(verbose_name='body')),
                ('received_at', models.DateTimeField(verbose_name='received')),
                ('attempts', models.PositiveSmallIntegerField(default=0, verbose_name='attempts')),
                ('error', models.CharField(blank=True, max_length=300, verbose_name='error')),
            ],
            options={
                'verbose_name': 'landed call',
                'verbose_name_plural': 'landed calls',
            },
        ),
        migrations.CreateModel(
            name='PhoneMessage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=200, unique=True)),
                ('address', models.CharField(db_index=True, max_length=32)),
                ('sender', models.CharField(max_length=40)),
                ('text', models.TextField()),
                ('url', models.CharField(blank=True, max_length=300)),
                ('received_at', models.DateTimeField()),
            ],
            options={
                'verbose_name': 'simulated phone message',
                'verbose_name_plural': 'simulated phone messages',
            },
        ),
        migrations.CreateModel(
            name='Mapping',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source', models.CharField(max_length=32, verbose_name='source')),
                ('name', models.CharField(max_length=64, verbose_name='vendor')),
                ('columns', models.JSONField(verbose_name='columns')),
                ('by', models.CharField(blank=True, max_length=150, verbose_name='by')),
                ('changed_at', models.DateTimeField(verbose_name='changed')),
            ],
            options={
                'verbose_name': 'saved mapping',
                'verbose_name_plural': 'saved mappings',
                'constraints': [models.UniqueConstraint(fields=('source', 'name'), name='mapping_once')],
            },
        ),
        migrations.CreateModel(
            name='Retirement',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source', models.CharField(max_length=32, verbose_name='source')),
                ('why', models.CharField(max_length=200, verbose_name='reason')),
                ('by', models.CharField(blank=True, max_length=150, verbose_name='by')),
                ('at', models.DateTimeField(verbose_name='at')),
                ('undone_at', models.DateTimeField(null=True, verbose_name='undone')),
                ('undone_by', models.CharField(blank=True, max_length=150, verbose_name='undone by')),
            ],
            options={
                'verbose_name': 'retired source',
                'verbose_name_plural': 'retired sources',
                'constraints': [models.UniqueConstraint(condition=models.Q(('undone_at', None)), fields=('source',), name='retirement_once')],
            },
        ),
        migrations.CreateModel(
            name='Run',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source', models.CharField(max_length=32, verbose_name='source')),
                ('name', models.CharField(max_length=255, verbose_name='file')),
                ('started_at', models.DateTimeField(verbose_name='started')),
                ('finished_at', models.DateTimeField(null=True, verbose_name='finished')),
                ('received', models.PositiveIntegerField(default=0, verbose_name='received')),
                ('accepted', models.PositiveIntegerField(default=0, verbose_name='accepted')),
                ('duplicate', models.PositiveIntegerField(default=0, verbose_name='duplicate')),
                ('rejected', models.PositiveIntegerField(default=0, verbose_name='rejected')),
            ],
            options={
                'verbose_name': 'source run',
                'verbose_name_plural': 'source runs',
                'indexes': [models.Index(fields=['source', '-started_at'], name='run_source_started')],
            },
        ),
        migrations.CreateModel(
            name='SourceHour',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source', models.CharField(max_length=32, verbose_name='source')),
                ('hour', models.DateTimeField(verbose_name='hour')),
                ('received', models.PositiveIntegerField(default=0, verbose_name='received')),
                ('accepted', models.PositiveIntegerField(default=0, verbose_name='accepted')),
                ('duplicate', models.PositiveIntegerField(default=0, verbose_name='duplicate')),
                ('rejected', models.PositiveIntegerField(default=0, verbose_name='rejected')),
                ('last_at', models.DateTimeField(verbose_name='last record')),
            ],
            options={
                'verbose_name': 'hour of a source',
                'verbose_name_plural': 'hours of sources',
                'constraints': [models.UniqueConstraint(fields=('source', 'hour'), name='source_hour_once')],
            },
        ),
        migrations.CreateModel(
            name='Upload',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source', models.CharField(max_length=32, verbose_name='source')),
                ('name', models.CharField(max_length=255, verbose_name='file')),
                ('content', models.BinaryField()),
                ('sha256', models.CharField(max_length=64)),
                ('mapping', models.JSONField(default=dict, verbose_name='columns')),
                ('by', models.CharField(blank=True, max_length=150, verbose_name='by')),
                ('uploaded_at', models.DateTimeField(verbose_name='uploaded')),
                ('applied_at', models.DateTimeField(null=True, verbose_name='applied')),
                ('run', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='connectors.run')),
            ],
            options={
                'verbose_name': 'uploaded file',
                'verbose_name_plural': 'uploaded files',
                'indexes': [models.Index(fields=['-uploaded_at'], name='upload_latest')],
            },
        ),
        migrations.CreateModel(
            name='Refusal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='connectors.run')),
                ('source', models.CharField(max_length=32, verbose_name='source')),
                ('line', models.PositiveIntegerField(verbose_name='line')),
                ('column', models.CharField(blank=True, db_default='', max_length=64, verbose_name='column')),
                ('upload', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='connectors.upload')),
                ('digest', models.CharField(max_length=64)),
                ('raw', models.JSONField(verbose_name='record')),
                ('reason', models.CharField(max_length=500, verbose_name='reason')),
                ('attempts', models.PositiveIntegerField(default=1, verbose_name='attempts')),
                ('first_seen_at', models.DateTimeField(verbose_name='first seen')),
                ('resolved_at', models.DateTimeField(null=True, verbose_name='resolved')),
                ('fixed', models.JSONField(null=True, verbose_name='corrected')),
                ('dismissed_because', models.CharField(blank=True, db_default='', max_length=200, verbose_name='put aside because')),
                ('settled_by', models.CharField(blank=True, db_default='', max_length=150, verbose_name='by')),
            ],
            options={
                'verbose_name': 'refused record',
                'verbose_name_plural': 'refused records',
                'constraints': [models.UniqueConstraint(fields=('source', 'digest'), name='refusal_once')],
            },
        ),
    ]
