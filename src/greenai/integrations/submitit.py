"""submitit: begin a job at the clean hour, and let its checkpoint come back later.

    from greenai.integrations import submitit as green
    executor.update_parameters(**green.parameters(greenai.plan(duration="2h", finish_by="24h")))

submitit itself is not imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenai.api import PlanAnswer

SIGNAL_DELAY_S = 120
"""How long before the time limit submitit is warned, to save and requeue."""


def parameters(plan: PlanAnswer) -> dict[str, Any]:
    """What `AutoExecutor.update_parameters` takes for a plan: the begin, and time to save before the limit.

    The begin is written as seconds since 1970, which sbatch takes in any zone.
    """
    decision = plan.decision
    begin = {"begin": f"uts{int(decision.start_at.timestamp())}"} if decision.action == "wait" else {}
    return {
        "slurm_additional_parameters": {**begin, "comment": f"greenai:plan={decision.made_at:%Y%m%dT%H%M%SZ}"},
        "slurm_signal_delay_s": SIGNAL_DELAY_S,
        "slurm_use_srun": False,
    }
