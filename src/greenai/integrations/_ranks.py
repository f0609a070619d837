"""The ranks of torch.distributed, where there are several; by itself a process is the only one."""

from __future__ import annotations

from typing import Any


def are_several(torch: Any) -> bool:
    """Whether this process trains together with others."""
    return bool(torch.distributed.is_available() and torch.distributed.is_initialized())


def meet(torch: Any) -> None:
    """Wait until all ranks are here."""
    if are_several(torch):
        torch.distributed.barrier()


def of_all(torch: Any, value: Any) -> list[Any]:
    """What each rank gives, in their order; all must call it."""
    if not are_several(torch):
        return [value]
    values: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values


def own_number(torch: Any) -> int:
    """Which of them this is."""
    return int(torch.distributed.get_rank()) if are_several(torch) else 0
