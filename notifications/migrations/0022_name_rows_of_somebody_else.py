"""A row of an uploaded list can name two patients: one by the file number, another by name and phone."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("notifications", "0021_note_who_worked_in_a_bulk_send")]
    operations = [
        migrations.AlterField(
            model_name="bulkrowerror",
            name="problem",
            field=models.CharField(
                choices=[
                    ("nothing_to_find", "No file number, phone or email in this row"),
                    ("phone_invalid", "This is not a mobile number"),
                    ("email_invalid", "This is not an email address"),
                    ("language_unknown", "Write the language as en or ar, or leave it empty"),
                    ("file_unknown", "There is no patient with this file number"),
                    ("file_other", "This file number belongs to somebody else than this name and phone"),
                    (
                        "person_unknown",
                        "Nobody in our files has this phone or email; only patients can be written to",
                    ),
                    ("person_unclear", "Several patients have this phone or email; add the file number"),
                    ("repeated", "The same patient stands in an earlier row"),
                    ("value_long", "This text is longer than 200 letters"),
                ],
                max_length=20,
                verbose_name="what is wrong",
            ),
        ),
    ]
