"""Our own contenders of bench/synth.py, each in a process of its own: the path of a job a line in, seconds out.

`inputs` makes samples without their targets, `limit` the same with all effects off: what is left is to decode, crop,
encode and pack. `whole` does all that `synth generate` does.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from synth.dataset.shards import Hashed, ShardWriter
from synth.engines.memory import keep_memory
from synth.instructions.intent import Intent
from synth.recipe.file import find_recipe, load_recipe
from synth.sample.draft import draft
from synth.sample.inputs import make_inputs
from synth.sample.plan import Plan, make_plan
from synth.sample.render import assemble, render_draft

NO_TARGET = np.zeros((1, 1), np.uint8)


@lru_cache
def plan_for(data: str, size: int, encoding: str) -> Plan:
    """The all-in-one recipe on pairs of the user's."""
    recipe = load_recipe(find_recipe("all_in_one"), {"crop": {"size": size}, "encoding": encoding})
    return make_plan(recipe, Path(data))


def inputs(writer: ShardWriter, plan: Plan, item: Mapping[str, Any]) -> None:
    drawn = draft(plan, item["index"])
    writer.add(drawn, assemble(plan, make_inputs(plan, drawn), NO_TARGET, {}))


def limit(writer: ShardWriter, plan: Plan, item: Mapping[str, Any]) -> None:
    drawn = replace(draft(plan, item["index"]), intent=Intent("clean"), effects=())
    writer.add(drawn, assemble(plan, make_inputs(plan, drawn), NO_TARGET, {}))


def whole(writer: ShardWriter, plan: Plan, item: Mapping[str, Any]) -> None:
    drawn = draft(plan, item["index"])
    writer.add(drawn, render_draft(plan, drawn))


def warm_up(plan: Plan, samples: int) -> bool:
    """What a process has after its first samples: the tiles of rain and snow, a cache of pairs and of their looks."""
    for index in range(10**6, 10**6 + samples):
        make_inputs(plan, draft(plan, index))
    return True


CONTENDERS: dict[str, Callable[[ShardWriter, Plan, Mapping[str, Any]], None]] = {
    "inputs": inputs,
    "limit": limit,
    "whole": whole,
}


def main() -> None:
    """Serve jobs as one of them."""
    cv2.setNumThreads(1)
    keep_memory()
    make = CONTENDERS[sys.argv[1]]
    warm = False
    for line in sys.stdin:
        job = json.loads(Path(line.strip()).read_text())
        plan = plan_for(job["data"], job["size"], job["encoding"])
        if not warm:
            warm = warm_up(plan, job["warm"])
        with tempfile.TemporaryFile() as file:
            start = time.perf_counter()
            with ShardWriter(Hashed(file)) as writer:
                for item in job["items"]:
                    make(writer, plan, item)
            print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
