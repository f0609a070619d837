"""A process that has imported a framework and nothing else, and gives birth to a new process for each leg of a test.

Importing a framework takes seconds and a leg's training a fraction of one. A child is forked right after the imports:
no program, no model and no file of the leg before exists in it.

Usage: python nursery.py MODULES ANSWER_FD MARK_FD, then one JSON object a line on standard input.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import sys


def main(modules: str, answer: str, mark: str) -> None:
    """Import, then fork for every line; in the child, become the program."""
    for module in modules.split(","):
        importlib.import_module(module)
    os.environ["MARK_FDS"] = f"{answer},{mark}"
    for line in sys.stdin:
        leg = json.loads(line)
        child = os.fork()
        if child == 0:
            os.environ.update(leg["environment"])
            os.chdir(leg["at"])
            said = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(said, 1)
            os.dup2(said, 2)
            sys.argv = [leg["program"], *leg["arguments"]]
            runpy.run_path(leg["program"], run_name="__main__")
            return
        _, status = os.waitpid(child, 0)
        os.write(int(mark), f"exit {os.waitstatus_to_exitcode(status)}\n".encode("ascii"))


if __name__ == "__main__":
    main(*sys.argv[1:])
