"""What is drawn of a sample before its pair is read: all that a plan, a failed row or a statistic needs."""

from dataclasses import dataclass

from synth.degradations.base import Stage
from synth.degradations.engine import EffectSpec, in_order
from synth.instructions.intent import Intent, draw_intent
from synth.pairs.base import PairRef
from synth.recipe.schema import Degradations
from synth.sample.plan import Plan
from synth.streams import Streams, drawn_of, stream


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
    if streams("clean").random() < kinds.get("clean", 0):
        return Draft(index, group, task, Intent("clean"), pair, (), number)
    effects = _draw_effects(recipe.tasks[task].degradations, streams)
    chance = plan.partial_chance(task)
    first = recipe.instructions.per_pair > 1 and index == group
    intent = draw_intent(effects, kinds, chance, first, stream(recipe.seed, index, "instruction.kind"))
    return Draft(index, group, task, intent, pair, effects, number)


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
    order = degradations.order
    if (order if isinstance(order, str) else drawn_of(order, streams("effects.ordered"))) == "shuffled":
        ordered = [ordered[i] for i in streams("effects.order").permutation(len(ordered))]
    if streams("effects.again").random() < degradations.second_pass:
        ordered += [spec for spec in ordered if spec.degradation.stage > Stage.SCENE]
    return tuple(ordered)
