"""What was measured before: an SQLite file that only grows, and what compares one bundle's measurements with earlier ones.

- `record`: one measurement, a latency row whole, with what it was measured of and on
- `database`: the file: append, read; damaged or newer ones are errors and never replaced
- `choosing`: which earlier measurements `last`, a label, a name or a sha256 means
- `pace`, `reading`: how quick the machine itself was, and times divided by that
- `changes`, `comparing`: slower, faster, no difference, not comparable; operators off the accelerator, worse answers
- `table`, `wording`: as CSV and JSON, and as lines for people
"""

from edgetl.history.choosing import Baseline, choose, of_files
from edgetl.history.comparing import Comparison, compare
from edgetl.history.database import History
from edgetl.history.record import Record, content_digest

__all__ = ["Baseline", "Comparison", "History", "Record", "choose", "compare", "content_digest", "of_files"]
