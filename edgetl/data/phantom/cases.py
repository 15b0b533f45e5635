"""Who carries a lesion: the patient and the drawn traits behind an image, without a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgetl.data.phantom.classes import PEOPLE, Traits, draw
from edgetl.data.phantom.sampling import label, stream
from edgetl.data.phantom.skin import TONES

_UNKNOWN = 0.02  # share of lesions without a recorded age or sex, as in real collections


@dataclass(frozen=True)
class Case:
    """One lesion of one person.

    years is the true age, which the skin shows; age and sex are what was recorded and may be empty or "unknown".
    """

    seed: int
    lesion: int
    label: str
    traits: Traits
    years: int
    age: str
    sex: str
    localization: str
    skin_tone: str


def case(seed: int, lesion: int) -> Case:
    """The case of lesion number `lesion`."""
    name = label(seed, lesion)
    people = PEOPLE[name]
    rng = stream(seed, "person", lesion)
    years = int(5 * round(float(np.clip(rng.normal(people.age, 14), 5, 85)) / 5))
    sex = "male" if rng.random() < people.men else "female"
    weights = np.array(list(people.sites.values()))
    site = str(rng.choice(list(people.sites), p=weights / weights.sum()))
    tone = str(rng.choice(list(TONES), p=[tone.share for tone in TONES.values()]))
    lost_age, lost_sex = rng.random(2) < _UNKNOWN
    return Case(
        seed=seed,
        lesion=lesion,
        label=name,
        traits=draw(name, stream(seed, "traits", lesion)),
        years=years,
        age="" if lost_age else str(years),
        sex="unknown" if lost_sex else sex,
        localization=site,
        skin_tone=tone,
    )
