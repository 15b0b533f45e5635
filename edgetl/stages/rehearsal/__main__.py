"""`python -m edgetl.stages.rehearsal FOLDER`: what `child.run` starts."""

from edgetl.stages.rehearsal.child import main

main()
