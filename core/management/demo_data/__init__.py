"""Builds the two demo clinic groups. Stands on the roof, beside the management commands: may import every app.

One builder a file, each a list of rows made in memory and saved in bulk: ``clinics`` and ``people`` (who and where),
``calendar`` and ``visits`` (appointments and what hangs on them), ``money``, ``messages`` and ``timelines`` (what was
sent and how it went), ``bells``. ``demo`` runs them in order, ``refresh`` brings an older demo up to today.
"""
