"""What is drawn of a sample before it is made: all that a plan, a failed row or a statistic needs.

No picture is read for it, but for weather: to see whether a pair of which nobody says so looks like a room.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from numpy.random import Generator

from synth.degradations.base import Stage
from synth.degradations.engine import Applied, EffectSpec, in_order
from synth.instructions.intent import Intent, draw_clean, draw_intent, may_stress
from synth.pairs.base import PairRef
from synth.recipe.schema import Degradations, Recipe
from synth.sample.loading import odds_of_room
from synth.sample.plan import Plan
from synth.scene.capture import ImageName
from synth.streams import Streams, drawn_of, stream
from synth.targets.target import kind_for
from synth.tasks import TASKS

MOST_TRIES = 16  # pairs that are looked at for one from outside
MOST_DRAWS = 64  # for which so many are drawn, where they are few
LOOKED_AT = 12  # pairs of a dataset, to see whether all may be rooms


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
    """Draw the task, the pair, the effects and what the instruction asks for."""
    recipe = plan.recipe
    group = index - index % recipe.instructions.per_pair
    streams = Streams(recipe.seed, group)
    kinds = recipe.instructions.kinds
    task = plan.draw_task(streams("task"))
    number, pair = plan.draw_pair(task, streams("pair"))
    clean = streams("clean").random() < kinds.get("clean", 0)
    effects = () if clean else _draw_effects(recipe.tasks[task].degradations, streams)
    if any(spec.degradation.outdoors for spec in effects):
        number, pair = _outdoor(plan, task, (number, pair), streams("pair.outdoor"))
    intent = _intent(plan, index, task, pair, effects)
    return Draft(index, group, task, intent, pair, effects, number)


def intent_of_seen(plan: Plan, drawn: Draft, seen: Sequence[Applied]) -> Intent:
    """What the instruction of a sample asks for where not all of its effects are seen: as if no others were drawn.

    So nothing is named, kept or lessened that is not there, and a pair on which nothing is seen is `clean`; all of a
    group, which shows one pair, agree.
    """
    specs = {spec.label: spec for spec in drawn.effects}  # each once, though it may fall twice
    there: dict[str, set[ImageName]] = {}
    for item in seen:
        there.setdefault(item.label[0], set()).add(item.image)
    effects = []
    for label, spec in specs.items():
        if label in there:
            alone = spec.images == "shared" and len(there[label]) < len(TASKS[drawn.task].capture.modalities)
            effects.append(replace(spec, images=min(there[label])) if alone else spec)
    return _intent(plan, drawn.index, drawn.task, drawn.pair, tuple(effects))


def _intent(plan: Plan, index: int, task: str, pair: PairRef, effects: Sequence[EffectSpec]) -> Intent:
    """What the instruction of a sample asks for, with these effects; without any it is `clean`."""
    recipe = plan.recipe
    per_pair, kinds = recipe.instructions.per_pair, recipe.instructions.kinds
    group = index - index % per_pair
    intents: list[Intent] = []
    for other in range(group, index + 1):  # those before it in its group, which ask something else
        rng = stream(recipe.seed, other, "instruction.kind")
        first = per_pair > 1 and other == group
        drawn = None if effects else draw_clean(rng, intents)
        intents.append(drawn or draw_intent(effects, kinds, plan.chances[task], first, rng, intents))
    return replace(intents[-1], emphasis=_emphasis(recipe, task, pair, intents[-1], index))


def _emphasis(recipe: Recipe, task: str, pair: PairRef, intent: Intent, index: int) -> float:
    """What the target of a sample is to stress, in [−1, 1]; 0 for most, and for the first of a group of several."""
    share, (low, high) = recipe.instructions.emphasis.share, recipe.instructions.emphasis.amount
    first = recipe.instructions.per_pair > 1 and index % recipe.instructions.per_pair == 0
    gradient = kind_for(recipe.tasks[task].target, pair.has_gt) == "gradient"
    if share == 0 or TASKS[task].emphasis is None or not (gradient and may_stress(intent)) or first:
        return 0.0
    rng = stream(recipe.seed, index, "instruction.emphasis")
    return float(rng.choice((-1, 1)) * rng.uniform(low, high)) if rng.random() < share else 0.0


def _outdoor(plan: Plan, task: str, first: tuple[int, PairRef], rng: Generator) -> tuple[int, PairRef]:
    """The pair that was drawn, or where it shows a room another, drawn by the same weights among those that do not.

    So effects, kinds and counts are what they were, and only where weather falls is the choice of pairs another. A flag
    is known and obeyed; for a guess, pairs are drawn one after the other, and of several that all look like rooms, the
    one that does so least is taken.
    """
    rule = plan.recipe.tasks[task].degradations.indoor
    if rule == "as_outdoor":
        return first
    drawn = plan.draw_pair(task, rng, outdoor=True) if first[1].indoor else first
    rooms: dict[int, tuple[float, PairRef]] = {}
    for _ in range(MOST_DRAWS):
        number, pair = drawn
        odds = odds_of_room(pair) if rule == "guess" and pair.indoor is None else None
        if odds is None or odds <= 0:
            return drawn
        rooms[number] = odds, pair
        if len(rooms) == MOST_TRIES:
            break
        drawn = plan.draw_pair(task, rng, outdoor=True)
    number = min(rooms, key=lambda n: rooms[n][0])
    return number, rooms[number][1]


def all_look_like_rooms(plan: Plan, task: str) -> bool:
    """Whether weather may fall on a task's pairs, and all of a few of them, spread over its datasets, look like rooms.

    Not asked of pairs behind URLs, which would have to be fetched.
    """
    rules = plan.recipe.tasks[task].degradations
    if rules.indoor != "guess" or not any(spec.degradation.outdoors for spec in rules.specs):
        return False
    pairs = [
        pool.pairs[place] for pool in plan.pools if pool.task == task for place in pool.among(outdoor=True)[:LOOKED_AT]
    ]
    few = pairs[:: max(1, len(pairs) // LOOKED_AT)]
    if any(pair.indoor is not None or None in pair.headers() for pair in few):
        return False
    return all((odds_of_room(pair) or 0) > 0 for pair in few)


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
