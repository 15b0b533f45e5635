"""The content-addressed store: a finished stage is never computed twice, and a half-written one is never seen.

    .edgetl/
      entries/KEY/       what a stage wrote, and entry.json: its files with sha256, how long it took, what it depended on
      aside/KEY-PID/     being written; renamed to entries/KEY when complete
      scratch/KEY/       checkpoints of a stage that has not ended; survives a kill
      locks/KEY          held by the build that computes it (`locks`); locks/build-HOST-PID by each build while it runs
      used/KEY/RECIPE    touched whenever a build of that recipe needed the entry
      verified/KEY       size, times and inode of each file when its sha256 was last right
      pictures/KIND/NAME/  rendered, or unpacked from an archive; used/KIND-NAME/RECIPE as above
      damaged/KEY-TIME/  entries that were found damaged; `edgetl cache prune` removes them

A key is the digest of everything that a stage depends on (`Dependencies`). What a later stage depends on is the *content* of an
earlier one (`Entry.digest`), so that a recomputed stage with the same result does not recompute what follows.
"""

from edgetl.store.diff import History
from edgetl.store.disk import writing
from edgetl.store.entries import DamagedEntry, Dependencies, Entry
from edgetl.store.locks import locked
from edgetl.store.store import PICTURES, Draft, Store

__all__ = ["PICTURES", "DamagedEntry", "Dependencies", "Draft", "Entry", "History", "Store", "locked", "writing"]
