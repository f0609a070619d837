"""The grid zone that run.sh shows: the user's setting, else the time zone's country, else GB, and says which."""

from __future__ import annotations

import json
import subprocess
import sys

FALLBACK = "GB"
NO_COUNTRY = "WORLD"


def main() -> None:
    """Print the zone on stdout and where it comes from on stderr."""
    shown = subprocess.run(["greenai", "--json", "config", "show"], capture_output=True, text=True, check=True)  # noqa: S607
    zone = json.loads(shown.stdout)["zone"]
    if zone["value"] in {None, NO_COUNTRY}:
        zone = {"value": FALLBACK, "origin": "this machine's time zone names no country; give one: bash run.sh DE"}
    sys.stderr.write(f"Zone {zone['value']}: {zone['origin']}\n")
    sys.stdout.write(zone["value"])


if __name__ == "__main__":
    main()
