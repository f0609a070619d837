"""Run a training program to the end, and again paused and run anew in new processes; compare every bit of the results."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from greenai import pause

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
QUIET = {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "KERAS_BACKEND": "torch", "PYTHONWARNINGS": "ignore"}


def needs(*modules: str) -> pytest.MarkDecorator:
    """Skips, loudly, where a framework is not installed; asks without importing it, which takes seconds."""
    missing = [module for module in modules if find_spec(module) is None]
    return pytest.mark.skipif(bool(missing), reason=f"NOT TESTED: {', '.join(missing)} is not installed")


@dataclass(frozen=True, kw_only=True)
class Leg:
    """One process: how it ended, the steps it did, what it printed, and its result if it came to one."""

    code: int
    steps: list[int]
    said: str
    result: dict[str, np.ndarray] | None = field(repr=False)


class Nursery:
    """The process that has imported a framework once (nursery.py), and the pipes that all its children speak through."""

    def __init__(self, modules: str) -> None:
        answer_in, self.answer = os.pipe()
        mark_in, mark_out = os.pipe()
        self.marks = os.fdopen(mark_in, encoding="ascii")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GREENAI_")}
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "nursery.py"), modules, str(answer_in), str(mark_out)],
            env=environment | THREADS | QUIET | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            pass_fds=(answer_in, mark_out),
            text=True,
        )
        os.close(answer_in)
        os.close(mark_out)
        atexit.register(self._close)

    def give_birth(self, order: dict[str, Any]) -> None:
        """A new process for this order."""
        assert self._process.stdin is not None
        print(json.dumps(order), file=self._process.stdin, flush=True)

    def _close(self) -> None:
        self._process.communicate()
        self.marks.close()
        os.close(self.answer)


nursery = cache(Nursery)
"""One for each framework in a session: importing one takes seconds."""


class Runner:
    """Runs a program of `programs/` in a new process each time, and answers its marks.

    Args:
        program: its file name.
        modules: the frameworks it needs.
        at: a directory of this test's own.
        ranks: how many processes train together; the first alone is asked to pause.
    """

    def __init__(self, program: str, modules: str, at: Path, *, ranks: int = 1) -> None:
        self.program = program
        self.at = at
        self.ranks = ranks
        self._nursery = nursery(modules)

    def leg(
        self, *arguments: str, name: str = "paused", resumes: int = 0, pause_after: int | None = None, greenai: bool = True
    ) -> Leg:
        """One process; the pause file is made when it says that step `pause_after` is done."""
        at = self.at / name
        (at / "checkpoint").mkdir(exist_ok=True, parents=True)
        pause_file, result = at / "pause", at / "result.npz"
        for old in (pause_file, *at.glob("result.npz*")):
            old.unlink(missing_ok=True)
        environment = {"RESULT": str(result), "HOME": str(at)}
        if greenai:
            environment |= {pause.RUN_ID: "r1", pause.ZONE: "GB", pause.PAUSE_FILE: str(pause_file), pause.RESUMES: str(resumes)}
            environment |= {pause.CHECKPOINT_DIR: str(at / "checkpoint"), pause.PROGRESS_FILE: str(at / "progress")}
        program = str(HERE / "programs" / self.program)
        order = {"program": program, "arguments": list(arguments), "environment": environment, "at": str(at), "ranks": self.ranks}
        self._nursery.give_birth(order)
        code, steps = self._answer_marks(pause_file, pause_after)
        said = "".join((at / f"said-{rank}").read_text(encoding="utf-8") for rank in range(self.ranks))
        return Leg(code=code, steps=steps, said=said, result=self._result(result))

    def _result(self, first: Path) -> dict[str, np.ndarray] | None:
        """The results of all ranks, or of none: the first's by their own names."""
        files = [first, *(first.with_name(f"{first.name}.{rank}.npz") for rank in range(1, self.ranks))]
        if not any(file.exists() for file in files):
            return None
        named = [(rank, dict(np.load(file))) for rank, file in enumerate(files)]
        return {f"{name} of rank {rank}" if rank else name: array for rank, arrays in named for name, array in arrays.items()}

    def _answer_marks(self, pause_file: Path, pause_after: int | None) -> tuple[int, list[int]]:
        steps: list[int] = []
        for mark in self._nursery.marks:
            if mark.startswith("exit"):
                return int(mark.split()[1]), steps
            steps.append(int(mark))
            if steps[-1] == pause_after:
                pause_file.touch()
            os.write(self._nursery.answer, b".")
        raise AssertionError("the nursery died")

    def whole(self, *arguments: str) -> Leg:
        """The uninterrupted run, outside greenai."""
        leg = self.leg(*arguments, name="whole", greenai=False)
        assert leg.code == 0, leg.said
        return leg

    def paused(self, *arguments: str, pauses: tuple[int, ...]) -> list[Leg]:
        """The legs of a run paused after those steps, each in a new process."""
        legs = []
        for resumes, after in enumerate((*pauses, None)):
            leg = self.leg(*arguments, resumes=resumes, pause_after=after)
            assert leg.code == (0 if after is None else pause.EXIT_CODE), leg.said
            assert (leg.result is not None) is (after is None), "what follows the training ran on a half-trained model"
            legs.append(leg)
        return legs

    def check_exact(self, *arguments: str, pauses: tuple[int, ...], beside: tuple[str, ...] | None = None) -> list[Leg]:
        """Every step was done exactly once over all the processes, and the results are equal bit for bit.

        Args:
            beside: the arguments of the uninterrupted run, where they differ.
        """
        whole = self.whole(*(arguments if beside is None else beside))
        legs = self.paused(*arguments, pauses=pauses)
        if beside is None:
            assert [step for leg in legs for step in leg.steps] == whole.steps
        assert different(whole, legs[-1]) == []
        return legs

    def progress(self) -> float:
        """What the paused run last said of its progress."""
        return float((self.at / "paused" / "progress").read_text(encoding="ascii"))


def different(one: Leg, other: Leg) -> list[str]:
    """The names of the arrays that are not equal bit for bit."""
    assert one.result
    assert other.result
    assert list(one.result) == list(other.result)
    return [name for name, value in one.result.items() if value.tobytes() != other.result[name].tobytes()]
