"""``python -m benchmarks [name] [--json]``: runs one benchmark or all, each on a database and broker of its own."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

NAMES = ("event_to_row", "booking_request")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/bench", description=__doc__)
    parser.add_argument("name", nargs="?", choices=NAMES, help="only this one")
    parser.add_argument("--json", action="store_true", help="one JSON object a measure")
    chosen = parser.parse_args()
    is_met = True
    with tempfile.TemporaryDirectory(prefix="agdar-bench-") as folder:
        from benchmarks import house

        os.environ.update(house.environment(Path(folder)))
        import django

        django.setup()
        from benchmarks import booking_request, event_to_row

        benchmarks = {"event_to_row": event_to_row.run, "booking_request": booking_request.run}
        clinic = house.found_clinic()
        for name in [chosen.name] if chosen.name else NAMES:
            for measure in benchmarks[name](Path(folder), clinic):
                print(measure.as_json() if chosen.json else measure.as_text(), flush=True)
                is_met = is_met and measure.met
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
