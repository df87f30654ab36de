"""What is kept by rounds under way is counted on its perk; from its stock it was taken when they opened."""

from django.db import migrations

COUNT = """
UPDATE tenants_perk SET aside = waiting.n
FROM (SELECT quote ->> 'perk' AS code, count(*) AS n FROM renewal_round WHERE state = 'open' GROUP BY 1) waiting
WHERE tenants_perk.code = waiting.code
"""


class Migration(migrations.Migration):
    dependencies = [("renewal", "0014_week_caps"), ("tenants", "0035_perk_kept")]

    operations = [migrations.RunSQL(COUNT, migrations.RunSQL.noop)]
