"""Every file of the package that git tracks is in the wheel: a missing CSV, SQL or schema shows only on a user's machine."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path


def main(folder: Path) -> int:
    """Compare the one wheel in `folder` with the tracked files under src; 1 if one is missing."""
    (wheel,) = folder.glob("*.whl")
    packed = {f"src/{name}" for name in zipfile.ZipFile(wheel).namelist()}
    listed = subprocess.run(["git", "ls-files", "src/greenai"], capture_output=True, text=True, check=True)  # noqa: S607
    missing = sorted(set(listed.stdout.split()) - packed)
    sys.stdout.write(f"{wheel.name}: {len(packed)} files" + (f", missing {missing}\n" if missing else "\n"))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
