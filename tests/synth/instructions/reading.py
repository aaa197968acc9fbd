"""A reader of sentences by words alone: it knows nothing of phrases, ids or phrases.yaml."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

LEXICON = {
    "haze": r"\bhaz|dehaz|fog|\bmist|atmospher|airlight|clear day|visibility|koschmieder|transmission|aerial",
    "rain": r"\brain|derain|downpour|shower|line-shaped rain|drizzle",
    "snow": r"snow|flakes|blizzard",
    "defocus": r"defocus|refocus|(?<!near-)(?<!far-)(?<!shot )\bfocus\b|bokeh|circle of confusion",
    "blur": r"(?<!motion )\bblur|\bdeblur\b(?! the camera)|sharp|soft (edges|image|render)|fine detail|smear over"
    r"|point spread|softness|edges back|low-pass|gaussian kernel|edges are soft",
    "motion": r"motion|shak|shook|movement|moving camera|camera moved|camera trajectory|steady|stabilis",
    "exposure": r"(?<!-)exposure(?! shot)|bright|lighting|relight|light level|illumination|luminance|shutter|lighten"
    r"|\bdark(?! stripes)|low-light|\b(low|more|little|much|insufficient|excess of|bring) light\b|light burnt|\bdim\b"
    r"|underexpos|overexpos|glar|highlight|wrongly exposed|badly exposed|light up",
    "noise": r"(?<!fixed-pattern )(?<!mosquito )nois[ey]|denois|grain|speckle",
    "stripes": r"stripe|striping|striped|vertical lines|banding|fixed-pattern|column|line pattern"
    r"|lines of the detector",
    "contrast": r"contrast(?! that the)|\bton(e|es|al)\b",
    "resolution": r"resol|downsampl|downscal|low-res|upscale|its pixels|upsampl",
    "jpeg": r"jpeg|(?<!stretch or )compress|block|squares|coding|codec|ringing",
}
KEEPING = (
    r"\b(keep|leave|do not touch|let(?! the \w+ stop)|preserve|should stay|i like|can remain|spare|hold on to"
    r"|must not change|is fine|do without changing)\b"
)
EFFECT_PLACES = {
    "visible": r"visible|rgb|colour photo",
    "infrared": r"infrared|thermal",
    "under": r"under-exposed|dark exposure",
    "over": r"over-exposed|bright exposure",
    "near": r"near-focused|foreground",
    "far": r"far-focused|focused on the background",
}
PLACE = (
    r"(in )?the (visible|infrared|under-exposed|over-exposed|near-focused|far-focused) (image|shot)"
    r"|(in )?the (rgb|thermal|first|second) (picture|image)|(in )?the colour photo|(in )?the (dark|bright) exposure"
    r"|(in )?the shot focused on the (fore|back)ground|in both (images|shots)|the (first|second|left|right) one"
)
FEW = {  # what is said of little, of much, and how little and much it must be
    "much": (r"(?<!as )\b(dense|thick|heavy|strong|severe|pouring|driving|extreme)\b(?! contrast)", 0.6),
    "very much": (r"blizzard|snowstorm|downpour|hardly see|hide the scene|cover everything|nothing is in focus", 0.45),
    "little": (
        r"\b(thin|slight|light(?= (?:rain|snow|mist|fog|haze|noise|grain|blur))"
        r"|faint|mild|gentle|scattered|small|weak)\b(?! (out|up|level|contrast|the|burnt))",
        0.4,
    ),
}
LESS = {
    0.7: r"(?<!only )a little\b|slightly|\ba bit\b|somewhat|a few of|some of|not all the way|a third of",
    0.5: r"\bhalf|halve|halfway|midway|every other",
    0.25: r"most of|a touch of|just a touch|trace|hint of|a quarter|nearly all|a lot|only a (little|few)|almost"
    r"|but not quite|to a few|to a drizzle",
}
ONE = r"\b(this|the) (?:[\w-]+ )?(?:[\w-]+ )?(picture|shot|photo|image)\b(?! fusion)"
BROKEN = (
    r"  |\ba extreme|to do not|\bno (slight|light|thin|faint|mild|scattered|weak)"
    r"|leave the (contrast|exposure|brightness) in"
    r"|in (both|the \w+) (images|image|shots|shot|pictures|picture) in the air|image in the|picture in the first"
    r"|[{}]|\bthe the\b|let the (contrast|exposure|brightness) stay"
)


ORDINALS = {"a": r"\b(first|left) (image|picture|one)\b", "b": r"\b(second|right) (image|picture|one)\b"}


@dataclass(frozen=True)
class Fact:
    """What was drawn of one effect. name: as sentences have it. drawn: the effects that fell. images: in how many."""

    name: str
    drawn: frozenset[str]
    images: int
    severities: tuple[float, ...]


def bare(sentence: str) -> str:
    """Without the words for where."""
    text = re.sub(EFFECT_PLACES["far"], "", sentence.lower())
    return re.sub(PLACE, "", text)


def read(sentence: str) -> set[str]:
    """What a sentence names."""
    text = bare(sentence)
    return {effect for effect, words in LEXICON.items() if re.search(words, text)}


def read_kept(sentence: str) -> set[str]:
    """What a sentence says is to stay."""
    parts = re.split(
        r"[;,]| but | and (?=keep|leave the|do not|let the|preserve|the \w+ (?:should|can|is|must)|i like|spare"
        r"|hold on)",
        sentence.lower(),
    )
    return set().union(*(read(part) for part in parts if re.search(KEEPING, part) and not read_factors(part)))


def read_factors(sentence: str) -> set[float]:
    """By how much something is to be lessened."""
    text = re.sub(r"too little|more detail", "", sentence.lower())
    return {factor for factor, words in LESS.items() if re.search(words, text)}


def read_images(sentence: str, modalities: Mapping[str, str]) -> set[tuple[str, str]]:
    """Which effect a sentence says is in which image, of its parts that speak of one effect and one image.

    modalities: by image, as tasks have them.
    """
    found = set()
    for part in re.split(r"[;,:.]| and | while | then | but ", sentence.lower()):
        effects = read(part)
        images = {image for image, pattern in ORDINALS.items() if re.search(pattern, part)}
        images |= {image for image, modality in modalities.items() if re.search(EFFECT_PLACES[modality], part)}
        if len(effects) == len(images) == 1:
            found.add((*effects, *images))
    return found


def untrue(sentence: str, facts: Collection[Fact], colour: bool) -> str | None:
    """What a sentence says that cannot be true of what it is about; None where nothing.

    facts: of all that it names, effects that are not there with no image. colour: whether any image has some.
    """
    text, plain = sentence.lower(), bare(sentence)
    if re.search(BROKEN, text):
        return "bad grammar"
    if re.search(r"rgb|colour photo", text) and not colour:
        return "colour where there is none"
    if re.search(ONE, plain) and all(fact.images != 1 for fact in facts):
        return "one picture, where no effect is in one alone"
    drawn = set().union(*(fact.drawn for fact in facts)) if facts else set()
    if re.search(r"gaussian noise|additive noise", text) and "noise" not in drawn:
        return "Gaussian noise where there is none"
    if re.search(r"sensor noise", text) and "sensor_noise" not in drawn:
        return "sensor noise where there is none"
    known = [severity for fact in facts for severity in fact.severities]
    for what, (words, limit) in FEW.items():
        fits = any(severity < limit if what == "little" else severity > limit for severity in known)
        if re.search(words, plain) and not fits:
            return f"{what} of it, where there is not"
    return None
