"""What is drawn of a sample before its pair is read: all that a plan, a failed row or a statistic needs."""

from dataclasses import dataclass, replace

from synth.degradations.base import Stage
from synth.degradations.engine import EffectSpec, in_order
from synth.instructions.intent import Intent, draw_clean, draw_intent, may_stress
from synth.pairs.base import PairRef
from synth.recipe.schema import Degradations, Recipe
from synth.sample.plan import Plan
from synth.streams import Streams, stream
from synth.targets.target import kind_for
from synth.tasks import TASKS


def key_of(index: int) -> str:
    """The key of a sample in its shard: nine digits."""
    return f"{index:09d}"


@dataclass(frozen=True)
class Draft:
    """What is known of a sample before its pair is read; a failed one has no more.

    pair_number: of its pair among all of the plan.
    """

    index: int
    group: int
    task: str
    intent: Intent
    pair: PairRef
    effects: tuple[EffectSpec, ...]
    pair_number: int

    @property
    def key(self) -> str:
        return key_of(self.index)


def draft(plan: Plan, index: int) -> Draft:
    """Draw the task, the pair, the effects and what the instruction asks for, without reading a picture."""
    recipe = plan.recipe
    group = index - index % recipe.instructions.per_pair
    streams = Streams(recipe.seed, group)
    kinds = recipe.instructions.kinds
    task = plan.draw_task(streams("task"))
    number, pair = plan.draw_pair(task, streams("pair"))
    clean = streams("clean").random() < kinds.get("clean", 0)
    effects = () if clean else _draw_effects(recipe.tasks[task].degradations, streams)
    intents: list[Intent] = []
    for other in range(group, index + 1):  # those before it in its group, which ask something else
        rng = stream(recipe.seed, other, "instruction.kind")
        first = recipe.instructions.per_pair > 1 and other == group
        drawn = draw_clean(rng, intents) if clean else None
        intents.append(drawn or draw_intent(effects, kinds, plan.chances[task], first, rng, intents))
    intent = replace(intents[-1], emphasis=_emphasis(recipe, task, pair, intents[-1], index))
    return Draft(index, group, task, intent, pair, effects, number)


def _emphasis(recipe: Recipe, task: str, pair: PairRef, intent: Intent, index: int) -> float:
    """What the target of a sample is to stress, in [−1, 1]; 0 for most, and for the first of a group of several."""
    share, (low, high) = recipe.instructions.emphasis.share, recipe.instructions.emphasis.amount
    first = recipe.instructions.per_pair > 1 and index % recipe.instructions.per_pair == 0
    gradient = kind_for(recipe.tasks[task].target, pair.has_gt) == "gradient"
    if share == 0 or TASKS[task].emphasis is None or not (gradient and may_stress(intent)) or first:
        return 0.0
    rng = stream(recipe.seed, index, "instruction.emphasis")
    return float(rng.choice((-1, 1)) * rng.uniform(low, high)) if rng.random() < share else 0.0


def _draw_effects(degradations: Degradations, streams: Streams) -> tuple[EffectSpec, ...]:
    chosen = list(degradations.always)
    some = degradations.some
    if some is not None:
        rng = streams("effects")
        counts = sorted(some.count)
        total = sum(some.count.values())
        count = counts[int(rng.choice(len(counts), p=[some.count[n] / total for n in counts]))]
        chosen += [some.of[i] for i in sorted(rng.permutation(len(some.of))[:count])]
    ordered = in_order(chosen)
    if degradations.order == "shuffled":
        ordered = [ordered[i] for i in streams("effects.order").permutation(len(ordered))]
    if streams("effects.again").random() < degradations.second_pass:
        ordered += [spec for spec in ordered if spec.degradation.stage > Stage.SCENE]
    return tuple(ordered)
