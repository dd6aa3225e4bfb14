"""Studies: many runs from one file, on one machine or on a Ray cluster."""

from .study import Study, StudyRun

__all__ = ["Study", "StudyRun"]
