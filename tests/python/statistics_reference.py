"""What scipy, scikit-learn and numpy make of samples sent by streams/statistics/tests/against_scipy.rs.

Reads one JSON object from standard input and writes one to standard output, with the same keys: a list of cases
in, a list of answers out. Numbers may be the strings "NaN", "inf" and "-inf"; an undefined answer is null.
"""

import json
import math
import sys
import warnings

import numpy as np
from scipy import stats
from sklearn import metrics


def numbers(values):
    return np.array([float(value) for value in values])


def ks(case):
    reference, window = numbers(case["reference"]), numbers(case["window"])
    result = stats.ks_2samp(reference[~np.isnan(reference)], window[~np.isnan(window)], method="asymp")
    return float(result.statistic)


def shares(values, bounds):
    present = values[~np.isnan(values)]
    bins = np.searchsorted(bounds, present, side="left")  # bounds[i - 1] < x <= bounds[i]
    counts = np.append(np.bincount(bins, minlength=len(bounds) + 1), len(values) - len(present))
    return np.maximum(counts / len(values), 1e-4)


def psi(case):
    bounds = numbers(case["bounds"])
    r, w = shares(numbers(case["reference"]), bounds), shares(numbers(case["window"]), bounds)
    return float(np.sum((w - r) * np.log(w / r)))


def classification(case):
    label, predicted = case["label"], case["predicted"]
    tn, fp, fn, tp = metrics.confusion_matrix(label, predicted, labels=[False, True]).ravel().tolist()
    scores = {
        name: float(score(label, predicted, pos_label=True, zero_division=np.nan))
        for name, score in [
            ("precision", metrics.precision_score),
            ("recall", metrics.recall_score),
            ("f1", metrics.f1_score),
        ]
    }
    scores["accuracy"] = float(metrics.accuracy_score(label, predicted))
    scores = {name: None if math.isnan(score) else score for name, score in scores.items()}
    return {"counts": {"tp": tp, "fp": fp, "tn": tn, "fn": fn}, **scores}


def blocks(case):
    sums, counts = numbers(case["sums"]), numbers(case["counts"])
    if np.all(counts == counts[0]):
        means = sums / counts
        mean, error = np.mean(means), stats.sem(means)
    else:
        # The ratio estimator as a weighted mean of block means: another arrangement of the same formula.
        mean = np.average(sums / counts, weights=counts)
        scaled = counts / np.mean(counts) * (sums / counts - mean)
        error = np.sqrt(np.sum(scaled**2) / (len(sums) - 1) / len(sums))
    low, high = stats.norm.interval(0.95, loc=mean, scale=error)
    return {"mean": float(mean), "standard_error": float(error), "low": float(low), "high": float(high)}


def main():
    warnings.simplefilter("ignore")  # sizes at which scipy and scikit-learn warn are part of the test
    methods = {"ks": ks, "psi": psi, "classification": classification, "blocks": blocks}
    question = json.load(sys.stdin)
    json.dump({key: [methods[key](case) for case in cases] for key, cases in question.items()}, sys.stdout)


if __name__ == "__main__":
    main()
