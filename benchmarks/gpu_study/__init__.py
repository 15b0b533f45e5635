"""Many trainings at once on one GPU: the cells of the study behind the recipes' schedules.

A bare loop of its own, not edgetl's: pictures lie on the device, augmentation runs there, a whole step is one CUDA graph, and
several networks train side by side on streams of their own. Networks, losses, schedules, pruning and the split are edgetl's.
"""
