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
from scipy.spatial import distance
from sklearn import metrics


def numbers(values):
    return np.array([float(value) for value in values])


def ks(case):
    reference, window = numbers(case["reference"]), numbers(case["window"])
    result = stats.ks_2samp(reference[~np.isnan(reference)], window[~np.isnan(window)], method="asymp")
    return float(result.statistic)


def shares_of(values, bounds):
    present = values[~np.isnan(values)]
    bins = np.searchsorted(bounds, present, side="left")  # bounds[i - 1] < x <= bounds[i]
    counts = np.append(np.bincount(bins, minlength=len(bounds) + 1), len(values) - len(present))
    return np.maximum(counts / len(values), 1e-4)


def psi(case):
    bounds = numbers(case["bounds"])
    r, w = shares_of(numbers(case["reference"]), bounds), shares_of(numbers(case["window"]), bounds)
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


def finite(value):
    """A float, or its name where JSON has none."""
    value = float(value)
    return value if math.isfinite(value) else repr(value)


def two_sample(case):
    x, y = numbers(case["reference"]), numbers(case["window"])
    x, y = x[~np.isnan(x)], y[~np.isnan(y)]
    name = case["test"]
    if name in ("wasserstein", "energy"):
        return finite(getattr(stats, f"{name}_distance")(x, y))
    tests = {
        "cramer_von_mises": lambda: stats.cramervonmises_2samp(x, y, method="asymptotic"),
        "mann_whitney": lambda: stats.mannwhitneyu(x, y, method="asymptotic"),
        "anderson_darling": lambda: stats.anderson_ksamp([x, y], variant="midrank"),
        "student": lambda: stats.ttest_ind(x, y),
        "welch": lambda: stats.ttest_ind(x, y, equal_var=False),
    }
    try:
        result = tests[name]()
    except ValueError:
        return None
    if math.isnan(result.statistic) or (name in ("student", "welch") and math.isinf(result.statistic)):
        return None
    return {"statistic": finite(result.statistic), "p_value": finite(result.pvalue)}


def shares(case):
    r, w = numbers(case["reference"]), numbers(case["window"])
    p, q = r / r.sum(), w / w.sum()
    there = (r > 0) | (w > 0)
    chi_squared = stats.chisquare(w[there], r[there] * (w.sum() / r.sum()))
    # Hellinger's by the Bhattacharyya coefficient: another arrangement of the same formula.
    hellinger = math.sqrt(max(0.0, 1.0 - np.sum(np.sqrt(p * q))))
    return {
        "chi_squared": finite(chi_squared.statistic),
        "chi_squared_p": finite(chi_squared.pvalue),
        "kullback_leibler": finite(stats.entropy(p, q)),
        "jensen_shannon": finite(distance.jensenshannon(p, q)),
        "hellinger": finite(hellinger),
        "total_variation": finite(np.abs(p - q).sum() / 2),
    }


def proportions(case):
    (a, n), (b, m) = case
    together = (a + b) / (n + m)
    z = (a / n - b / m) / math.sqrt(together * (1 - together) * (1 / n + 1 / m))
    return {"statistic": z, "p_value": float(2 * stats.norm.sf(abs(z)))}


def main():
    warnings.simplefilter("ignore")  # sizes at which scipy and scikit-learn warn are part of the test
    methods = {"ks": ks, "psi": psi, "classification": classification, "blocks": blocks}
    methods |= {"two_sample": two_sample, "shares": shares, "proportions": proportions}
    question = json.load(sys.stdin)
    json.dump({key: [methods[key](case) for case in cases] for key, cases in question.items()}, sys.stdout)


if __name__ == "__main__":
    main()
