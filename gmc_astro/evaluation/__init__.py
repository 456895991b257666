"""Evaluation: the paper's protocol, its data sets, splits, methods, scores and report."""

from gmc_astro.evaluation.cells import Cell
from gmc_astro.evaluation.datasets import DATASETS, Dataset, DatasetRecord, load_dataset
from gmc_astro.evaluation.download import DataFile, download_file, find_file
from gmc_astro.evaluation.methods import METHODS, Method, ModelOptions, Row, Task, find_row
from gmc_astro.evaluation.metrics import (
    bootstrap_interval,
    classification_metrics,
    macro_f1,
    mcnemar_test,
    paired_test,
)
from gmc_astro.evaluation.protocol import FRACTIONS, Benchmark, check_leakage, run_benchmark
from gmc_astro.evaluation.report import summarise, write_report
from gmc_astro.evaluation.splits import Split, frozen_splits, make_split
from gmc_astro.evaluation.supervised import predict_tower, train_tower

__all__ = [
    "DATASETS",
    "FRACTIONS",
    "METHODS",
    "Benchmark",
    "Cell",
    "DataFile",
    "Dataset",
    "DatasetRecord",
    "Method",
    "ModelOptions",
    "Row",
    "Split",
    "Task",
    "bootstrap_interval",
    "check_leakage",
    "classification_metrics",
    "download_file",
    "find_file",
    "find_row",
    "frozen_splits",
    "load_dataset",
    "macro_f1",
    "make_split",
    "mcnemar_test",
    "paired_test",
    "predict_tower",
    "run_benchmark",
    "summarise",
    "train_tower",
    "write_report",
]
