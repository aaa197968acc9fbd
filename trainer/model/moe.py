"""A mixture of experts: of E routed SwiGLU experts each token takes k, and all tokens take one more that is shared.

    y = shared(x) + Σ_{e ∈ chosen(x)} g_e(x) expert_e(x)

One shared expert beside the routed: Dai et al., "DeepSeekMoE", 2024. Sigmoid scores whose chosen ones are normalised
to gates: DeepSeek-AI, "DeepSeek-V3", 2024, equations 12 to 16. No token is dropped, nothing on the host waits for a
value on the device, and sums have one order, so that a step gives the same bits again.

B batch, N positions, T = B · N tokens, D width, H hidden, E experts, k active, S = T · k slots.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.model.inputs import Passed, Term, Terms
from trainer.model.recompute import Recomputing

Balance: TypeAlias = Literal["bias", "loss"]
RATE = 3e-3
"""What a bias moves by in a step. Wang et al. take 10⁻³, for longer runs. At this rate scores of .88, .73, .27 and .12
are levelled in 120 steps instead of 360, and the largest load stays within 1.11 of the mean; at 10⁻² within 1.21."""
WEIGHT = 1e-2
"""Of the balancing loss (Fedus et al., section 2.2)."""
ALIGNMENT = 16
"""Bytes of which a row is a multiple, for grouped_mm."""


class SwiGLU(nn.Module):
    """W₃(SiLU(W₁ x) ⊙ W₂ x), without biases (Shazeer, "GLU variants improve transformer", 2020). W₁, W₂ lie in `rise`.

    x: (..., D) → the same shape.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.rise = nn.Linear(width, 2 * hidden, bias=False)
        self.fall = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.fall(_gated(self.rise(x)))


class Routing(NamedTuple):
    """Where tokens go."""

    choice: Tensor
    """(T, k) int64: the chosen experts, each another."""
    gate: Tensor
    """(T, k) float32: by what each of them counts; the sum is 1."""
    score: Tensor
    """(T, E) float32, in [0, 1]: of every expert, without the bias."""
    load: Tensor
    """(E,) int64: how many slots of `choice` each expert has."""


class Router(nn.Module):
    """Scores every expert for every token, in fp32, and chooses the k of highest score plus bias.

    The bias steers the choice alone: gates are made of scores, and no gradient reaches it. `load` counts the slots of
    all forwards in training until `rebalance`, so a step's accumulated batches count as one. Under
    DistributedDataParallel both are the router's own matter: broadcast_buffers=False, or the loads of rank 0 replace
    the others'. With k = 1 the gate is always 1, and the router learns by the balancing loss alone.
    """

    bias: Tensor
    load: Tensor

    def __init__(self, width: int, experts: int, active: int, balance: Balance) -> None:
        super().__init__()
        if not 1 <= active <= experts:
            raise ValueError(f"{active} active of {experts} experts: at least one, and not more than there are")
        if balance not in get_args(Balance):
            raise ValueError(f"balance {balance!r}: one of {', '.join(get_args(Balance))}")
        self.active, self.balance = active, balance
        self.linear = nn.Linear(width, experts, bias=False)
        self.register_buffer("bias", torch.zeros(experts))
        self.register_buffer("load", torch.zeros(experts, dtype=torch.int64))

    def forward(self, x: Tensor) -> Routing:
        """x: (..., D), T tokens."""
        with torch.autocast(x.device.type, enabled=False):
            score = F.linear(x.flatten(0, -2).float(), self.linear.weight.float()).sigmoid()
        choice = (score.detach() + self.bias).topk(self.active, dim=-1).indices
        chosen = choice[..., None] == torch.arange(score.shape[-1], device=x.device)  # (T, k, E)
        gate = (score[:, None] * chosen).sum(-1)  # a gather whose gradient has one order
        gate = gate / gate.sum(-1, keepdim=True).clamp_min(1e-20)
        load = chosen.sum((0, 1))
        if self._learns:
            self.load += load
        return Routing(choice, gate, score, load)

    @torch.no_grad()
    def rebalance(self) -> None:
        """To be called after each step of the optimizer, on all ranks; without effect in evaluation, and where frozen.

        b_e ← b_e + rate · sign(mean load − load_e), then centred, and counts begin at 0 again: Wang et al.,
        "Auxiliary-loss-free load balancing strategy for mixture-of-experts", 2024, algorithm 1.
        """
        if not self._learns:
            return
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(self.load)
        if self.balance == "bias":
            load = self.load.float()
            self.bias += RATE * (load.mean() - load).sign()
            self.bias -= self.bias.mean()
        self.load.zero_()

    @property
    def _learns(self) -> bool:
        return self.training and self.linear.weight.requires_grad


class Experts(nn.Module):
    """E SwiGLU experts, their matrices stacked: (E, in, out), each as a Linear of its own would begin.

    An optimizer of matrices, such as Muon, takes them per expert, and transposed.
    """

    def __init__(self, width: int, hidden: int, experts: int) -> None:
        super().__init__()
        self.rise = nn.Parameter(torch.empty(experts, width, 2 * hidden).uniform_(-(width**-0.5), width**-0.5))
        self.fall = nn.Parameter(torch.empty(experts, hidden, width).uniform_(-(hidden**-0.5), hidden**-0.5))

    def forward(self, x: Tensor, routing: Routing) -> Tensor:
        """Σ gate · expert of each token's choice. x: (..., D), T tokens → the same shape, float32.

        The products are as wide as autocast has them; their weighted sum is in fp32.
        """
        dtype = torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else x.dtype
        x_TD, rise, fall = (each.to(dtype) for each in (x.flatten(0, -2), self.rise, self.fall))
        mix = grouped if can_group(x_TD, rise, fall) else looped
        return mix(x_TD, rise, fall, routing).view_as(x)


class MoE(Recomputing):
    """The shared expert and the routed ones, all `hidden` wide: (1 + active) · hidden are at work for a token.

    Under checkpointing the choice is kept, and counted once; what the experts do is done again.
    """

    def __init__(self, width: int, hidden: int, experts: int, active: int = 2, balance: Balance = "bias") -> None:
        super().__init__()
        self.router = Router(width, experts, active, balance)
        self.shared = SwiGLU(width, hidden)
        self.experts = Experts(width, hidden, experts)

    def forward(self, x: Tensor) -> Passed:
        """x: (B, N, D) → the same shape, and the terms of its routing."""
        routing = self.router(x)
        return Passed(self.again(self.mixed, x, routing), self.terms(routing))

    def mixed(self, x: Tensor, routing: Routing) -> Tensor:
        """What all experts make of x, (B, N, D), as `routing` has it."""
        shared = self.shared(x)
        return (shared + self.experts(x, routing)).to(shared.dtype)

    def terms(self, routing: Routing) -> Terms:
        """For the log the largest load over the mean one; by balance "loss" the balancing loss too."""
        shown = {"imbalance": Term(routing.load.max() / routing.load.float().mean(), 0.0)}
        return shown | {"balance": Term(balancing_loss(routing), WEIGHT)} if self.router.balance == "loss" else shown


def balancing_loss(routing: Routing) -> Tensor:
    """E Σ f_e P_e, (): 1 where all is even. f: the share of the slots, without a gradient; P: the mean share of scores.

    Fedus et al., "Switch transformers", 2022, equations 4 to 6, for k choices as Lepikhin et al., "GShard", 2021;
    with sigmoid scores their share in a token's sum stands for the softmax (DeepSeek-V3, equations 17 to 20).
    """
    f_E = routing.load / routing.load.sum()
    p_E = (routing.score / routing.score.sum(-1, keepdim=True).clamp_min(1e-20)).mean(0)
    return len(f_E) * (f_E * p_E).sum()


def can_group(x_TD: Tensor, rise_EDH: Tensor, fall_EHD: Tensor) -> bool:
    """Whether grouped_mm takes these, and without a wait for the device, by what is known before any value.

    Rows of D and of H are aligned. bf16 runs on a CPU, and on GPUs from Hopper on; on those before, and with other
    types on any, it reads the group sizes on the host. fp32 runs on a CPU, but not under torch.compile.
    """
    if not hasattr(F, "grouped_mm") or any(w.shape[1] * w.element_size() % ALIGNMENT for w in (rise_EDH, fall_EHD)):
        return False
    device = x_TD.device
    if x_TD.dtype == torch.bfloat16:
        return device.type == "cpu" or (device.type == "cuda" and torch.cuda.get_device_capability(device) >= (9, 0))
    return x_TD.dtype == torch.float32 and device.type == "cpu" and not torch.compiler.is_compiling()


def grouped(x_TD: Tensor, rise_EDH: Tensor, fall_EHD: Tensor, routing: Routing) -> Tensor:
    """(T, D) float32: slots sorted by expert, two products over all groups, and back to the order of tokens.

    A row is copied for each of its slots before they are sorted, and slots are summed after they are sorted back: so
    both index_selects permute, and neither they nor their gradients add in an order that a GPU chooses.
    """
    order_S = routing.choice.flatten().argsort(stable=True)
    ends_E = routing.load.cumsum(0, dtype=torch.int32)
    x_SD = x_TD[:, None].expand(-1, routing.choice.shape[-1], -1).flatten(0, 1).index_select(0, order_S)
    h_SH = _gated(F.grouped_mm(x_SD, rise_EDH, offs=ends_E))
    y_SD = F.grouped_mm(h_SH, fall_EHD, offs=ends_E).index_select(0, order_S.argsort())
    return (routing.gate[..., None] * y_SD.view(*routing.gate.shape, -1)).sum(1)


def looped(x_TD: Tensor, rise_EDH: Tensor, fall_EHD: Tensor, routing: Routing) -> Tensor:
    """The same, (T, D) float32, expert by expert over all tokens: plain, and E / k times the work."""
    y_TD = torch.zeros_like(x_TD, dtype=torch.float32)
    for expert, (rise_DH, fall_HD) in enumerate(zip(rise_EDH, fall_EHD, strict=True)):
        gate_T = (routing.gate * (routing.choice == expert)).sum(-1)
        y_TD = y_TD + gate_T[:, None] * (_gated(x_TD @ rise_DH) @ fall_HD)
    return y_TD


def _gated(h: Tensor) -> Tensor:
    """(..., 2H) → (..., H)."""
    gate, value = h.chunk(2, dim=-1)
    return F.silu(gate) * value
