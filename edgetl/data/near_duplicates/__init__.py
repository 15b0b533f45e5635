"""Pictures that are the same photograph in other bytes: saved again, resized, slightly cropped, mirrored or turned.

As in the perceptual hash of Zauner ("Implementation and Benchmarking of Perceptual Image Hash Functions", 2010,
https://www.phash.org/docs/pubs/thesis_zauner.pdf) a picture is compared by the low frequencies of its cosine transform,
but by their values and not by 64 signs of them: dermatoscopic pictures are all a dark blob on bright skin, and different
lesions share their signs. Two steps:

1. Candidates are pairs whose low frequencies correlate in one of the eight orientations of a square. Mirror images and
   quarter turns only change signs and swap the axes, so sorted absolute values bound all eight at once (rearrangement
   inequality), and one blocked matrix product leaves few pairs to look at.
2. Each candidate is registered (scale and shift along both axes, brightness, contrast), because a crop of 2 % moves the
   picture; the pair is near when its slopes then correlate, in the middle too: where the round edge of a dermatoscope's
   field is in both, it is most of what correlates.

Some data sets look all alike (frames of a clip, chest X-rays), and then nearly every pair is a candidate. So pairs are
left out that could tell nothing new: those within a group, and those that pairs found before connect already.

benchmarks/near_duplicates.py measures what is found and what is found falsely.
"""

from edgetl.data.near_duplicates.finding import Pair, duplicates, search
from edgetl.data.near_duplicates.thumbnails import SIDE, thumbnail

__all__ = ["SIDE", "Pair", "duplicates", "search", "thumbnail"]
