"""Diagnosis of models, data and training runs: causes, findings and reports.

`facts` describe a model, its data and its training as plain data, `rules` turn facts
into findings, and `ranking` keeps the findings that no other finding explains.
"""

from .causes import CAUSES, Cause
from .diagnose import diagnose
from .diagnosis import Diagnosis
from .finding import Evidence, Finding
from .report.report import DiagnosisReport

__all__ = [
    "CAUSES",
    "Cause",
    "Diagnosis",
    "DiagnosisReport",
    "Evidence",
    "Finding",
    "diagnose",
]
