"""Rehearsal: the whole path of a recipe with its own networks, not yet trained, before the first training begins.

    networks -> pruning -> save and reload -> export -> int8 -> each file loaded and run -> steps of each training

It is over in a minute, and what would fail after hours of training fails in it. Its steps are also what the forecast of time
and memory is made of. It runs in a process of its own (`path`), which can neither hang nor crash the build (`child`), on the
recipe's own training images, and is remembered by architecture, options, tool versions and machine (`memory`).

What it cannot show is what depends on trained weights: which channels give way, parity and int8 ranges after training, a
training that diverges late; nor the disk and the hub.
"""
