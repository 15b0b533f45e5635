"""Every document that a stage writes: frozen dataclasses in JSON files, each with a version, read strictly."""
