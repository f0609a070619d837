"""A process that has imported a framework and nothing else, and gives birth to a new process for each leg of a test.

Importing a framework takes seconds and a leg's training a fraction of one. A child is forked right after the imports:
no program, no model and no file of the leg before exists in it.

A leg may have several ranks: as many processes, told what torchrun would tell them, of which the first alone can be
asked to pause and says its steps. They meet in a store of this process, whose port nobody else can take.

Usage: python nursery.py MODULES ANSWER_FD MARK_FD, then one JSON object a line on standard input.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import sys
from typing import Any

DISAGREE = 99
"""The ranks did not end alike."""


def main(modules: str, answer: str, mark: str) -> None:
    """Import, then fork for every line; in the child, become the program."""
    for module in modules.split(","):
        importlib.import_module(module)
    for line in sys.stdin:
        leg = json.loads(line)
        meeting_in, meeting_out = os.pipe()
        children = []
        for rank in range(leg["ranks"]):
            children.append(os.fork())
            if children[-1] == 0:
                os.environ.update(leg["environment"])
                if rank == 0:
                    os.environ["MARK_FDS"] = f"{answer},{mark}"
                if leg["ranks"] > 1:
                    os.environ.update(told(rank, leg["ranks"], port=os.read(meeting_in, 5).decode("ascii")))
                become(leg, rank)
                return
        store = meet(meeting_out, leg["ranks"]) if leg["ranks"] > 1 else None
        codes = {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children}
        del store
        os.close(meeting_in)
        os.close(meeting_out)
        os.write(int(mark), f"exit {codes.pop() if len(codes) == 1 else DISAGREE}\n".encode("ascii"))


def meet(meeting_out: int, ranks: int) -> object:
    """Where the ranks find each other; each is told the port, five digits."""
    from torch.distributed import TCPStore

    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    os.write(meeting_out, f"{store.port:5d}".encode("ascii") * ranks)
    return store


def told(rank: int, ranks: int, port: str) -> dict[str, str]:
    """What torchrun tells a rank; the others than the first look for a pause file that nobody makes."""
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks}
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port.strip(), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    unasked = {"GREENAI_PAUSE_FILE": "nobody-asks-this-rank"} if rank and "GREENAI_PAUSE_FILE" in os.environ else {}
    result = {"RESULT": f"{os.environ['RESULT']}.{rank}.npz"} if rank else {}
    return {**{name: str(number) for name, number in place.items()}, **meeting, **unasked, **result}


def become(leg: dict[str, Any], rank: int) -> None:
    """Be the program."""
    os.chdir(leg["at"])
    said = os.open(f"said-{rank}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    sys.argv = [leg["program"], *leg["arguments"]]
    runpy.run_path(leg["program"], run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
