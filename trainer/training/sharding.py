"""Weights, gradients, moments and averages that are spread over the ranks, each rank holding its part: FSDP2.

A block's weights are put together for its forward, and again for its backward, pass alone (Zhao et al., "PyTorch FSDP:
experiences on scaling fully sharded data parallel", VLDB 2023). A spread tensor is a DTensor; all else in here takes
plain tensors as they are.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from trainer.model.compiled import repeated
from trainer.model.dit import FusionDiT


def shard(model: FusionDiT, where: torch.device) -> None:
    """Spreads a model's parameters over all ranks, block by block; on `where` from then on.

    They are new objects then: optimizers are built afterwards. Gradients are means over the ranks after each backward
    pass. Buffers and single numbers stay whole on each rank, as fully_shard takes none of them; the gradients of the
    latter are averaged here.
    """
    numbers = {parameter for parameter in model.parameters() if parameter.ndim == 0}
    for parameter in numbers:
        parameter.data = parameter.data.to(where)
        if parameter.requires_grad:
            parameter.register_hook(_mean)
    # attention hands its values on, a view; nobody writes into what a block gives
    warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view", UserWarning)
    mesh = dist.device_mesh.init_device_mesh(where.type, (dist.get_world_size(),))
    for module in (*repeated(model), model):
        fully_shard(module, mesh=mesh, ignored_params=numbers)
    for module in model.modules():
        if isinstance(module, FSDPModule):  # gloo has answered a mean with a sum (pytorch/pytorch#162338)
            module.set_force_sum_reduction_for_comms(True)


def here(tensor: Tensor) -> Tensor:
    """This rank's part, of the same memory."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole(tree: Any, keep: bool = True) -> Any:
    """The same dicts, lists and tuples with each spread tensor put together, on the CPU. All ranks must call it; one
    that does not keep gets empty tensors, and needs no room for more than one of them at a time.
    """
    if isinstance(tree, DTensor):
        tensor = tree.full_tensor().detach()
        return tensor.cpu() if keep else tensor.new_empty(0)
    if isinstance(tree, Mapping):
        return {key: whole(value, keep) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(whole(value, keep) for value in tree)
    return tree


def spread(tree: Any, like: Tensor) -> Any:
    """The inverse, of a parameter's state: what has its shape is spread as it is. No rank asks another."""
    if isinstance(tree, Tensor):
        if not isinstance(like, DTensor) or tree.shape != like.shape:
            return tree
        return distribute_tensor(tree.to(like.device), like.device_mesh, like.placements, src_data_rank=None)
    if isinstance(tree, Mapping):
        return {key: spread(value, like) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(spread(value, like) for value in tree)
    return tree


class Blank:
    """The form of a model that is going to be spread, for copies that are not."""

    def __init__(self, model: FusionDiT) -> None:
        self._model = copy.deepcopy(model).to("meta")  # type: ignore[arg-type]  # as diffusers wraps it

    def filled(self, model: FusionDiT, where: torch.device, keep: bool) -> FusionDiT:
        """A copy of the model, whole. All ranks must call it; one that does not keep it gets the form alone."""
        state, form = whole(model.state_dict(), keep), copy.deepcopy(self._model)
        if keep:
            form.load_state_dict(state, assign=True)
            form.to(where)
        return form


class WholeMuon(torch.optim.Muon):
    """Muon on matrices that are spread: each is put together for its step, on all ranks alike, one after the other."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                matrix = nn.Parameter(parameter.full_tensor())
                matrix.grad = parameter.grad.full_tensor()
                alone = torch.optim.Muon([{**group, "params": [matrix]}])
                alone.state[matrix] = {name: value.full_tensor() for name, value in self.state[parameter].items()}
                alone.step()
                parameter.copy_(spread(matrix.data, parameter))
                self.state[parameter] = spread(alone.state[matrix], parameter)


def _mean(gradient: Tensor) -> Tensor:
    gradient = gradient.clone()
    dist.all_reduce(gradient)
    return gradient / dist.get_world_size()
