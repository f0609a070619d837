"""A smaller network for inference: hidden units taken out, or weights in eight bits."""

from __future__ import annotations

import warnings
from typing import Any

from greenai.training.extras import need

FEWEST_UNITS = 2


def pruned(net: Any, share: float) -> Any:
    """A smaller network without the `share` of hidden units that carry least.

    A unit carries the norm of the weights into it times that of those out of it.
    Units are removed, not set to zero: zeros are multiplied like any number and
    save nothing on dense hardware.
    """
    torch = need("torch", extra="torch", what="a network")
    linears = [layer for layer in net if isinstance(layer, torch.nn.Linear)]
    kept_before = torch.arange(linears[0].in_features, device=linears[0].weight.device)
    layers: list[Any] = []
    for place, layer in enumerate(linears):
        last = place == len(linears) - 1
        kept = torch.arange(layer.out_features, device=layer.weight.device)
        if not last:
            kept = _strongest(torch, layer, linears[place + 1], share)
        layers.append(_smaller(torch, layer, kept, kept_before))
        if not last:
            layers.append(torch.nn.ReLU())
        kept_before = kept
    return torch.nn.Sequential(*layers)


def quantised(net: Any) -> Any:
    """The network with its linear layers in eight-bit integers, scaled as the data comes: dynamic quantisation, no GPU."""
    torch = need("torch", extra="torch", what="a network")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch announces that this interface moves to another package
        return torch.ao.quantization.quantize_dynamic(net.cpu().eval(), {torch.nn.Linear}, dtype=torch.qint8)


def can_quantise(device: str) -> bool:
    """Whether dynamic quantisation is there: on the processor, with an engine for it, in a torch that still has it."""
    torch = need("torch", extra="torch", what="a network")
    there = hasattr(torch, "ao") and hasattr(torch.ao, "quantization") and hasattr(torch.ao.quantization, "quantize_dynamic")
    return bool(device == "cpu" and there and torch.backends.quantized.engine != "none")


def _strongest(torch: Any, layer: Any, following: Any, share: float) -> Any:
    carried = layer.weight.detach().norm(dim=1) * following.weight.detach().norm(dim=0)
    count = max(FEWEST_UNITS, round(layer.out_features * (1 - share)))
    return torch.topk(carried, min(count, layer.out_features)).indices.sort().values


def _smaller(torch: Any, layer: Any, kept: Any, kept_before: Any) -> Any:
    smaller = torch.nn.Linear(len(kept_before), len(kept)).to(layer.weight.device)
    with torch.no_grad():
        smaller.weight.copy_(layer.weight[kept][:, kept_before])
        smaller.bias.copy_(layer.bias[kept])
    return smaller
