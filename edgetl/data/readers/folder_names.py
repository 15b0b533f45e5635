"""What the names of folders say: pictures, masks, patients, parts of a download, splits. What is left may be a class."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

from edgetl.data.records import split_of

__all__ = ["are_no_classes", "holds_masks", "holds_pictures", "look_like_classes", "says_nothing"]

_PICTURES = re.compile(
    "images?|imgs?|pictures?|pics?|photos?|jpe?g|png|tiff?|bmp|dicom|dcm|data|dataset|inputs?|files?|frames?|originals?"
)
_MASKS = re.compile(
    "masks?|segmentations?|segs?|labels?|annotations?|groundtruth|ground|truth|gt|bbox(es)?|box(es)?|contours?|xml|csv|txt|json"
)
_PARTS = re.compile("parts?|batch(es)?|chunks?|shards?|folds?|folders?|set|subset|archive")
_PATIENTS = re.compile("patients?|pat|subjects?|cases?|study|studies|series|scans?|exams?|slides?")
_MASK_FOLDER = re.compile(
    r"(?!(.*[_\s-])?(no|non|with|without)[_\s-])(.*[_\s-])?masks?|segmentations?|segs?|annotations?|labels?|gt|ground[_\s-]?truths?",
    re.IGNORECASE,
)
_PICTURE_FOLDER = re.compile(r".*(images?|imgs?|pictures?|pics|photos?)", re.IGNORECASE)
_MOST_CLASSES = 100
_MOST_NUMBERED = 20
_LONG = re.compile(r"(?<!\d)0\d|\d{3}")


def holds_masks(name: str) -> bool:
    """Whether a folder inside a class is called as one of masks: masks, lung masks, label_masks, segmentation."""
    return _MASK_FOLDER.fullmatch(name) is not None


def holds_pictures(name: str) -> bool:
    """Whether a folder's name ends in a word for pictures, as train_images does."""
    return _PICTURE_FOLDER.fullmatch(name) is not None


def says_nothing(name: str) -> bool:
    """Whether a name says of pictures no more than that they are some: images, jpg, masks, train_images, images_001."""
    return _is_empty(name) and not any(map(_PATIENTS.fullmatch, _words(name)))


def are_no_classes(names: Collection[str]) -> bool:
    """Whether folders beside each other differ only by numbers and by words that name no class.

    images and masks; train_images and test_images; images_001 and images_002; stage_2_train_images and
    stage_2_test_images; patient00001 and patient00002. But neither 0 and 1, grade_1 and grade_2, nor benign_images and
    malignant_images.
    """
    words = [_words(name) for name in names]
    return bool(words) and all(map(_naming_none, words)) and len({_telling(each) for each in words}) == 1


def look_like_classes(parents: Mapping[str, Sequence[str]]) -> bool:
    """Whether folders in several others may be classes: at least two names, which are not all numbered as patients are.

    Args:
        parents: folder -> the names in it.
    """
    counts = Counter(name for names in parents.values() for name in set(names))
    if len(counts) > _MOST_CLASSES:
        return False
    telling = [name for name in counts if not (_is_empty(name) or split_of(name))]
    if len(telling) < 2 or are_no_classes(counts):
        return False
    numbered: defaultdict[str, list[str]] = defaultdict(list)
    for name in telling:
        numbered[re.sub(r"\d+", "#", name)].append(name)
    ids = sum(len(same) for same in numbered.values() if len(same) > 1 and _are_ids(same, counts))
    return 2 * ids <= len(telling)


def _are_ids(same: Sequence[str], counts: Counter[str]) -> bool:
    """Whether names that differ by numbers are patients': their numbers are long, many, or in one folder each; grades' not."""
    many = len(same) > _MOST_NUMBERED or any(map(_LONG.search, same))
    return many or all(counts[name] == 1 for name in same)


def _words(name: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()))


def _is_empty(name: str) -> bool:
    words = _words(name)
    return bool(words) and not _telling(words)


@lru_cache(4096)
def _is_plain(word: str) -> bool:
    kinds = (_PICTURES, _MASKS, _PARTS, _PATIENTS)
    return any(kind.fullmatch(word) for kind in kinds) or split_of(word) is not None


def _naming_none(words: Sequence[str]) -> bool:
    return any(map(_is_plain, words))


def _telling(words: Sequence[str]) -> tuple[str, ...]:
    """Without the words that name no class."""
    return tuple(word for word in words if not _is_plain(word))
