"""Frozen dataclasses that are cheap to define: a device loads a model in less time than `dataclasses` compiles methods.

The standard decorator writes the source of six methods for each class and compiles it: .5 ms a class on a slow core (3.11).
Here all classes share the same methods. `fields`, `replace`, `asdict`, `is_dataclass` and inheritance work as with the
standard one, and type checkers see that one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    from dataclasses import MISSING, FrozenInstanceError
    from dataclasses import dataclass as _standard
    from operator import attrgetter

    def dataclass(*, frozen):
        """As `dataclasses.dataclass(frozen=True)`, which is the only kind that there is here."""
        assert frozen, "only frozen ones"
        return _made

    def _made(kind):
        kind = _standard(init=False, repr=False, eq=False)(kind)
        kind.__dataclass_params__.frozen = True  # for those who ask, and for subclasses
        known = kind.__dataclass_fields__.values()
        kind.__init__ = _init(kind, [(each.name, each.default, each.default_factory) for each in known])
        kind.__setattr__, kind.__delattr__, kind.__repr__ = _set, _delete, _repr
        compared = [each.name for each in known if each.compare]
        values = attrgetter(*compared, "__class__")  # two names at least: a tuple

        def same(self, other):
            return values(self) == values(other) if self.__class__ is other.__class__ else NotImplemented

        kind.__eq__, kind.__hash__ = same, lambda self: hash(values(self))
        return kind

    def _init(kind, known):
        names = [name for name, _, _ in known]

        def init(self, *given, **named):
            values = dict(zip(names, given, strict=False))
            wrong = [name for name in named if name in values or name not in names]
            if len(given) > len(names) or wrong:
                raise TypeError(f"{kind.__name__}() got {wrong or len(given)}, expected {names}, each once")
            values.update(named)
            for name, default, factory in known:
                if name not in values:
                    if default is MISSING and factory is MISSING:
                        raise TypeError(f"{kind.__name__}() is missing {name!r}")
                    values[name] = factory() if default is MISSING else default
            self.__dict__.update(values)

        return init

    def _set(self, name, value):
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def _delete(self, name):
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def _repr(self):
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__dataclass_fields__)
        return f"{self.__class__.__qualname__}({values})"
