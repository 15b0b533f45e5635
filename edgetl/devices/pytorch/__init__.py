"""A network in PyTorch, run in one way or another as a worker: what every artefact is compared with."""
