"""Expected best score of n random trials."""

import numpy as np


def expected_best(
    scores: list[float], num_trials: int, *, is_maximized: bool
) -> dict[str, np.ndarray]:
    """Returns the mean and two quantiles of the best score of n random trials.

    The n trials are drawn with replacement (Dodge et al., "Show Your Work", 2019,
    section 3.1).

    Args:
        scores: Scores of the completed trials.
        num_trials: Total number of finished trials. A trial that was not completed
            counts as if it had the worst score of the completed trials.
        is_maximized: Whether higher scores are better.

    Returns:
        A dict of arrays, which are empty if there are no scores:

        - `trials`: the numbers n from 1 to `num_trials`;
        - `mean`: the mean of the best score for each n;
        - `low` and `high`: the 10 % and 90 % quantiles, ordered from worse to better.

    Example:

    >>> from tuning.results.expected_best import expected_best
    >>> info = expected_best([0.0, 1.0], num_trials=2, is_maximized=True)
    >>> info["mean"].tolist()
    [0.5, 0.75]
    """
    if not scores:
        return {name: np.array([]) for name in ("trials", "mean", "low", "high")}
    worst = min(scores) if is_maximized else max(scores)
    ranked = sorted(
        [*scores, *[worst] * (num_trials - len(scores))], reverse=not is_maximized
    )
    n = np.arange(1, num_trials + 1)
    below = np.arange(num_trials + 1) / num_trials  # P(one draw is no better)
    mean = [float(np.diff(below**k) @ ranked) for k in n]
    last = num_trials - 1
    low, high = (
        np.array([ranked[min(int(num_trials * q ** (1 / k)), last)] for k in n])
        for q in (0.1, 0.9)
    )
    return {"trials": n, "mean": np.array(mean), "low": low, "high": high}
