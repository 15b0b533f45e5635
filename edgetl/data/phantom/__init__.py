"""skin_phantom: synthetic dermatoscopy, the data set that edgetl carries with it.

Seven classes named as in HAM10000, drawn procedurally: pigment, blood and scattering structures on skin of six tones,
seen one to four times through two dermatoscopes. It stands in where no real data is at hand (demo, tests, golden
images), it is meant to be learnable and not easy, and it says nothing about any disease. Every file says that it is
synthetic.

The story, top to bottom: sampling (which lesion is image 731?) -> classes and cases (what and whom) -> lesion (skin,
outline, colour, structures, vessels) -> camera (pose, artefacts, devices) -> render (files).
"""

from edgetl.data.phantom.classes import CLASSES
from edgetl.data.phantom.render import SOURCE, VERSION, Rendered, render, render_image

__all__ = ["CLASSES", "SOURCE", "VERSION", "Rendered", "render", "render_image"]
