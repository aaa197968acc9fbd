"""Several processes that train as one: `torchrun --nproc-per-node N -m trainer train …`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from trainer.config import Sharding, TrainingConfig
from trainer.data.pool import PoolConfig
from trainer.errors import UserError
from trainer.model.dit import FusionDiT
from trainer.training.sharding import shard


@dataclass(frozen=True)
class Ranks:
    """Which process this is, 0 … count - 1, and how many train; alone where nothing was joined."""

    rank: int = 0
    count: int = 1
    sharded: bool = False
    """Whether each holds its part of the weights, and not all of them."""

    @property
    def leads(self) -> bool:
        """Whether it is the one that writes and tells."""
        return self.rank == 0

    def share(self, step: range, couples: bool = False) -> range:
        """This rank's positions of a step: every `count`th; or, so that no couple is parted, one stretch of it."""
        if not couples:
            return step[self.rank :: self.count]
        pairs = len(step) // 2
        return step[2 * (pairs * self.rank // self.count) : 2 * (pairs * (self.rank + 1) // self.count)]

    def check(self, config: TrainingConfig, pool: PoolConfig | None = None) -> None:
        """Raises UserError where the ranks would not have equally many samples in every step, and whole couples."""
        each = self.count * (2 if config.couples and self.count > 1 else 1)
        sizes = {"training.batch_size": (config.batch_size, config.samples % config.batch_size)}
        if pool is not None:
            stages = [stage.batch_size for stage in pool.stages]
            sizes = {f"pool.stages[{n}].batch_size": (size, config.samples) for n, size in enumerate(stages)}
        for name, (size, last) in sizes.items():
            if size % each or last % each:
                shared = "share each step, some of them of couples," if each > self.count else "share each step"
                raise UserError(
                    f"{name} {size} of {config.samples} samples: {self.count} processes cannot {shared} evenly; "
                    f"make both multiples of {each}"
                )

    def any(self, flag: bool) -> bool:
        """Whether it is true on any of them."""
        return flag if self.count == 1 else self.largest(float(flag)) > 0

    def largest(self, value: float) -> float:
        """Of what they have."""
        return (
            value
            if self.count == 1
            else float(self._reduced(torch.tensor(value, dtype=torch.float64), dist.ReduceOp.MAX))
        )

    def total(self, values: Mapping[str, float]) -> dict[str, float]:
        """The sums over all ranks, which have the same names."""
        if self.count == 1:
            return dict(values)
        summed = self._reduced(torch.tensor(list(values.values()), dtype=torch.float64), dist.ReduceOp.SUM)
        return dict(zip(values, summed.tolist(), strict=True))

    def place(self, model: FusionDiT, where: torch.device) -> None:
        """Brings a model to the device, or this rank's part of it, of new parameters then."""
        if self.sharded:
            shard(model, where)
        else:
            model.to(where)  # type: ignore[arg-type]  # as diffusers wraps it

    def together(self, model: nn.Module) -> nn.Module:
        """The model as one that adds up the gradients of all; its parameters are the same tensors.

        Buffers are each rank's own (Router). Not every loss reaches every parameter.
        """
        if self.count == 1 or self.sharded:
            return model
        # of depthwise kernels, whose one channel may have any stride; it copies nothing
        warnings.filterwarnings("ignore", "Grad strides do not match", UserWarning)
        with warnings.catch_warnings():  # what torch 2.13 would have instead, 2.11 does not know
            warnings.filterwarnings("ignore", "`broadcast_buffers`", FutureWarning)
            return DistributedDataParallel(model, broadcast_buffers=False, find_unused_parameters=True)

    def apart(self, model: nn.Module) -> AbstractContextManager[Any]:
        """Within it gradients are not added up yet: for all parts of a step but its last. Sharded ones always are, as
        no rank has room for all of them.
        """
        return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            dist.barrier()

    def _reduced(self, values: Tensor, how: Any) -> Tensor:
        values = values.cuda() if dist.get_backend() == "nccl" else values
        dist.all_reduce(values, how)
        return values.cpu()


@contextmanager
def joined(device: torch.device, sharding: Sharding) -> Iterator[tuple[Ranks, torch.device]]:
    """The ranks that torchrun has started, and this one's device: of several GPUs its own."""
    if "WORLD_SIZE" not in os.environ or int(os.environ["WORLD_SIZE"]) == 1 or dist.is_initialized():
        yield Ranks(), device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size(), sharding == "fsdp2"), device
    finally:
        dist.destroy_process_group()
