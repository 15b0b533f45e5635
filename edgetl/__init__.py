"""edgetl: from labelled medical images to a small, verified, measured network on a phone.

    import edgetl

    result = edgetl.build("recipes/skin_mobile.yaml", progress=print)
    bundle = edgetl.open_bundle(result.bundle)
    bundle.predict("picture.png").probabilities

Everything here is loaded when it is first used: `import edgetl` alone loads no other package. Errors are those of
`edgetl.errors`.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgetl.api.backbones import BackbonesResult, backbones
    from edgetl.api.bench import BenchResult, bench
    from edgetl.api.build import BuildResult, build
    from edgetl.api.bundle import Bundle, open_bundle
    from edgetl.api.check import CheckResult, check
    from edgetl.api.evaluate import evaluate
    from edgetl.api.history import compare, measurements
    from edgetl.api.init import InitResult, init
    from edgetl.api.plan import StageResult
    from edgetl.api.predict import PredictResult, predict
    from edgetl.api.recipes import Loaded, load_recipe
    from edgetl.api.verify import VerifyResult, verify
    from edgetl.console.events import Advanced, Event, Recorded, Said, StageEnded, StageStarted, Warned
    from edgetl.console.progress import Progress
    from edgetl.errors import EdgetlError
    from edgetl.evidence.intervals import Interval
    from edgetl.history.comparing import Comparison
    from edgetl.history.record import Record
    from edgetl.results.latency import Latency
    from edgetl.results.report import Report
    from edgetl.runtime.predicting import Prediction

__all__ = [
    "Advanced",
    "BackbonesResult",
    "BenchResult",
    "BuildResult",
    "Bundle",
    "CheckResult",
    "Comparison",
    "EdgetlError",
    "Event",
    "InitResult",
    "Interval",
    "Latency",
    "Loaded",
    "PredictResult",
    "Prediction",
    "Progress",
    "Record",
    "Recorded",
    "Report",
    "Said",
    "StageEnded",
    "StageResult",
    "StageStarted",
    "VerifyResult",
    "Warned",
    "__version__",
    "backbones",
    "bench",
    "build",
    "check",
    "compare",
    "evaluate",
    "init",
    "load_recipe",
    "measurements",
    "open_bundle",
    "predict",
    "verify",
]

__version__ = "0.1.0"

_HOMES = {
    "edgetl.api.backbones": ("BackbonesResult", "backbones"),
    "edgetl.api.bench": ("BenchResult", "bench"),
    "edgetl.api.build": ("BuildResult", "build"),
    "edgetl.api.bundle": ("Bundle", "open_bundle"),
    "edgetl.api.check": ("CheckResult", "check"),
    "edgetl.api.evaluate": ("evaluate",),
    "edgetl.api.history": ("compare", "measurements"),
    "edgetl.api.init": ("InitResult", "init"),
    "edgetl.api.plan": ("StageResult",),
    "edgetl.api.predict": ("PredictResult", "predict"),
    "edgetl.api.recipes": ("Loaded", "load_recipe"),
    "edgetl.api.verify": ("VerifyResult", "verify"),
    "edgetl.console.events": ("Advanced", "Event", "Recorded", "Said", "StageEnded", "StageStarted", "Warned"),
    "edgetl.console.progress": ("Progress",),
    "edgetl.errors": ("EdgetlError",),
    "edgetl.evidence.intervals": ("Interval",),
    "edgetl.history.comparing": ("Comparison",),
    "edgetl.history.record": ("Record",),
    "edgetl.results.latency": ("Latency",),
    "edgetl.results.report": ("Report",),
    "edgetl.runtime.predicting": ("Prediction",),
}

if not TYPE_CHECKING:  # a checker would take any name for one of ours

    def __getattr__(name):
        """Import a public name when it is first used (PEP 562)."""
        for home, names in _HOMES.items():
            if name in names:
                return getattr(_import_module(home), name)
        raise AttributeError(f"module 'edgetl' has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *__all__})
