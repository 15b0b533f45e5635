"""A fake for each protocol, small enough to be read at once.

progress   `Progress` that keeps what it is told
sessions   `Session` of a JSON file, and a `Backend` whose runtime is two functions
devices    `Device` in this process, whose `Worker` and `Running` take no time

A reader, a loss, attention and a converter that are whole, if small, stand in docs/extending.md.
"""
