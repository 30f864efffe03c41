"""`barid demo`: the main job, once, on real input."""

from barid.demo.play import play

__all__ = ["play"]
