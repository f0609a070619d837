"""A libnvidia-ml.so.1 with known watts: NVIDIA GPUs without the hardware, for NVML's users in any language.

Compiled from `fake_nvml.c` beside this file with the C compiler of the machine::

    library = build_fake_nvml(tmp_path)                             # tmp_path/libnvidia-ml.so.1
    detect(MeterEnvironment(nvml_library=str(library)))
    LD_LIBRARY_PATH=DIRECTORY python train.py                       # for programs of others

What it shows is set by variables of the environment, read at each call:

FAKE_NVML_WATTS (300), FAKE_NVML_WATTS_0, _1 ... for one GPU
FAKE_NVML_COUNT (1) GPUs, with UUIDs GPU-00000000-fake, GPU-10000000-fake ...
FAKE_NVML_PERIOD_S (0): the energy counter moves in steps of so many seconds; real ones of 0.1
FAKE_NVML_NO_COUNTER, FAKE_NVML_NO_INSTANT, FAKE_NVML_NO_POWER, FAKE_NVML_NO_USE: 1 takes that away
FAKE_NVML_RESET_MJ (0): taken off the counter, to set it back as a reloaded driver does
FAKE_NVML_PROCESSES: who computes, as "pid:SM percent,pid:SM percent"
FAKE_NVML_SLICES (1): size of the MIG slice MIG-00000000-anything, of seven
FAKE_NVML_BROKEN: 1 lets its start fail

From a shell: python -m greenai.testing.nvml DIRECTORY
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
from pathlib import Path
from typing import Final

from greenai.errors import InputError

LIBRARY: Final = "libnvidia-ml.so.1"
SOURCE: Final = Path(__file__).with_name("fake_nvml.c")


def compiler() -> str | None:
    """The C compiler of this machine, if there is one."""
    return next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)


def build_fake_nvml(directory: Path) -> Path:
    """Compile the library into `directory` and return its path.

    Raises:
        InputError: this machine has no C compiler, or it refuses.
    """
    program = compiler()
    if program is None:
        raise InputError("the fake NVML needs a C compiler", hint="sudo apt install gcc")
    library = directory / LIBRARY
    run = subprocess.run(
        [program, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE)], capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise InputError(f"the C compiler refuses the fake NVML: {run.stderr.strip()[-300:]}")
    return library


def main() -> None:
    """Compile the library where the user wants it."""
    parser = argparse.ArgumentParser(prog="python -m greenai.testing.nvml", description="A libnvidia-ml.so.1 with known watts.")
    parser.add_argument("directory", type=Path)
    options = parser.parse_args()
    try:
        build_fake_nvml(options.directory)
    except InputError as error:
        parser.error(f"{error} ({error.hint})" if error.hint else str(error))


if __name__ == "__main__":
    main()
