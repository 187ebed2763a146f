"""Second factors, password resets and what a person sees of their sessions."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("core", "0003_append_only_audit_and_looks")]

    operations: list[migrations.operations.base.Operation] = []
