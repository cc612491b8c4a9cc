"""Results of a search: tables, models, plots and the data of the plots."""

from collections.abc import Callable

import keras
import numpy as np
import pandas as pd

from zoo.utils.arguments import check_integer, invalid_argument

from ..hyperparameters.probability import (
    is_constant,
    is_ordered,
    scale_of,
    to_probability,
    to_values,
)
from ..oracles.search_oracle import SearchOracle
from ..trials.search_trial import COMPLETED, SearchTrial
from . import plots, texts
from .expected_best import expected_best
from .permutation_importance import permutation_importances
from .range_edges import edge_warnings

COLUMNS = (
    *("trial", "round", "status", "score", "score_std"),
    *("epochs", "seconds", "error"),
)


class SearchResults:
    """Mixin that provides the results of a search at any time, even after a reload.

    The inheriting class must be a `keras_tuner.Tuner` with a `SearchOracle`.
    """

    oracle: SearchOracle
    get_best_models: Callable[[int], list[keras.Model]]

    def results(self) -> pd.DataFrame:
        """Returns a table with one row per trial.

        By default, pandas prints only some columns of a wide table. To print all
        columns, use `print(search.results().to_string())`.

        Returns:
            A DataFrame with these columns:

            - `trial`: number of the trial, from 0;
            - `round`: number of the round, from 1;
            - `status`: "completed", "pruned", "diverged", "failed" or "running";
            - `score`: score of the trial;
            - `score_std`: standard deviation of the scores of the executions or folds;
            - `epochs`: total number of training epochs over all executions;
            - `seconds`: duration of the trial;
            - `error`: why the trial failed, diverged or was pruned;
            - one column per hyperparameter. The value is missing if the hyperparameter
              is inactive or `build` did not read it. For example, `units_3` is missing
              if the model has two layers. If one of the columns above has the same
              name, " (hyperparameter)" is appended to the name of the hyperparameter.
        """
        names = dict.fromkeys(hp.name for hp in self.oracle.hyperparameters.space)
        rows = [
            (
                *(trial.number, trial.round, trial.status.lower()),
                *(np.nan if trial.score is None else trial.score, trial.score_std),
                *(trial.epochs, trial.seconds, trial.error),
                *map(trial.hyperparameters.values.unrecorded().get, names),
            )
            for trial in self.oracle.trials.values()
        ]
        hyperparameters = [
            f"{name} (hyperparameter)" if name in COLUMNS else name for name in names
        ]
        return pd.DataFrame(rows, columns=[*COLUMNS, *hyperparameters])

    def history(self) -> pd.DataFrame:
        """Returns a table with one row per epoch of each execution.

        Returns:
            A DataFrame with one column per metric, and the columns `trial`, `execution`
            (the execution or fold) and `epoch`, which are counted from 0.
        """
        columns: dict[str, list] = {"trial": [], "execution": [], "epoch": []}
        count = 0
        for trial in self.oracle.trials.values():
            for number, execution in enumerate(trial.executions):
                curves, epochs = execution.history, execution.epochs
                columns["trial"] += [trial.number] * epochs
                columns["execution"] += [number] * epochs
                columns["epoch"] += range(epochs)
                for name in {**dict.fromkeys([*columns][3:]), **curves}:
                    curve = columns.setdefault(name, [np.nan] * count)
                    curve += curves.get(name, [np.nan] * epochs)
                count += epochs
        return pd.DataFrame(columns)

    def best_model(self) -> keras.Model:
        """Returns the model of the best trial, with the weights of its best epoch.

        With several executions or folds, the weights come from the execution or fold
        with the best score.

        Raises:
            ValueError: If no trial is completed, or if the weights of the best trial
                were not kept.
        """
        return self.best_models(1)[0]

    def best_models(self, num_models: int) -> list[keras.Model]:
        """Returns the models of the best trials, starting with the best.

        The models can be passed to `zoo.ensemble.average`.

        Args:
            num_models: Integer >= 1, at most `checkpoints`.

        Raises:
            ValueError: If there are fewer than `num_models` completed trials, or if the
                weights of one of the best trials were not kept.
        """
        check_integer("num_models", num_models, minimum=1)
        completed = len(self._completed())
        if not completed:
            raise ValueError(f"There is no best model. {texts.nothing_completed(self)}")
        if completed < num_models:
            expected = f"at most {completed}, the number of completed trials"
            raise invalid_argument("num_models", expected, num_models)
        return self.get_best_models(num_models)

    def importance(self, seed: int = 0) -> pd.DataFrame:
        """Estimates how strongly each hyperparameter affects the score.

        A random forest learns to predict the rank of a trial. The permutation
        importance (Breiman, "Random Forests", 2001, section 10) of a hyperparameter is
        the decrease in R^2 on unseen trials (5-fold cross-validation) when the values
        of this hyperparameter are permuted. If a value is not larger than its standard
        deviation over the folds, the trials cannot tell whether the hyperparameter
        matters, and the line at the end of a search says so. If a range has narrowed,
        the importance mostly reflects the effect within the narrowed range.

        Args:
            seed: Integer >= 0. Defaults to `0`.

        Returns:
            A DataFrame with the columns `hyperparameter`, `importance` (the mean over
            the folds) and `std` (the standard deviation over the folds). The most
            important hyperparameter comes first.

        Raises:
            ValueError: If fewer than 10 trials are finished.
        """
        check_integer("seed", seed, minimum=0)
        trials = self.oracle.book.finished()
        too_few = texts.too_few_for_importance(self)
        if too_few:
            raise ValueError(f"Importance cannot be estimated: {too_few}")
        tuned = self._tuned()
        columns = {name: i for i, name in enumerate({hp.name: None for hp in tuned})}
        x = np.full((len(trials), len(columns)), -1.0)  # -1 where inactive
        for row, trial in enumerate(trials):
            for hp in filter(trial.has, tuned):
                x[row, columns[hp.name]] = self._position(hp, trial)
        folds = permutation_importances(x, self.oracle.book.ranks(trials), seed)
        table = pd.DataFrame(
            {
                "hyperparameter": list(columns),
                "importance": np.mean(folds, axis=0),
                "std": np.std(folds, axis=0, ddof=1),
            }
        )
        return table.sort_values("importance", ascending=False, ignore_index=True)

    def edge_warnings(self) -> list[str]:
        """Returns a warning for each range that should be wider.

        A range should be wider if both of these conditions are met:

        - The best value lies within 5 % of a bound, or at the end of a list of values.
        - On average, the best quarter of the trials is less than 30 % of the range away
          from that bound. For a list of values, the limit is 25 % plus half a step.

        A hyperparameter that has no effect meets both conditions only by chance. A
        lower bound of zero is ignored, because most such quantities cannot be negative.
        """
        trials = self.oracle.book.finished()
        sentences = []
        for hp in self._tuned():
            active = [t for t in trials if t.has(hp)]
            if not is_ordered(hp) or len(active) < 4:
                continue
            order = np.argsort(self.oracle.book.ranks(active), kind="stable")
            best = [active[index] for index in order[: max(len(active) // 4, 2)]]
            if best[0].status != COMPLETED:
                continue
            value = best[0].hyperparameters.values[hp.name]
            positions = [self._position(hp, trial) for trial in best]
            sentences += edge_warnings(hp, value, positions)
        return sentences

    def best_so_far_info(self) -> dict:
        """Returns the data for `plot_best_so_far`.

        Returns:
            A dict with these arrays:

            - `trial`: the numbers of the completed trials;
            - `score`: the scores of these trials;
            - `best`: the best score up to and including each trial.
        """
        trials = self._completed()
        scores = np.array([trial.score for trial in trials])
        best = np.maximum if self._is_maximized() else np.minimum
        return {
            "trial": np.array([trial.number for trial in trials], int),
            "score": scores,
            "best": best.accumulate(scores) if len(scores) else scores,
        }

    def expected_best_info(self) -> dict:
        """Returns the data for `plot_expected_best`.

        The data are the expected best score of n random trials and two quantiles of the
        best score. The n trials are sampled from the trials of the first round that
        were drawn at random, which excludes the initial trials and the trial with the
        defaults (Dodge et al., "Show Your Work", 2019, section 3.1). A trial that was
        not completed counts as if it had the worst score of the completed trials.

        Returns:
            A dict with these arrays:

            - `trials`: the numbers n;
            - `mean`: the mean of the best score for each n;
            - `low` and `high`: the 10 % and 90 % quantiles of the best score for each
              n, ordered from worse to better.
        """
        drawn = [
            trial
            for trial in self.oracle.book.finished()
            if trial.round == 1 and set(trial.sources.values()) <= {"full"}
        ]
        scores = [t.score for t in drawn if t.status == COMPLETED]
        return expected_best(scores, len(drawn), is_maximized=self._is_maximized())

    def hyperparameters_info(self) -> list[dict]:
        """Returns the data for `plot_hyperparameters`.

        Returns:
            A list with one dict per hyperparameter. Each dict has these keys:

            - `name`: name of the hyperparameter;
            - `values`, `scores` and `rounds`: lists with one entry for each completed
              trial in which the hyperparameter is active;
            - `scale`: "linear", "log" or "category";
            - `ranges`: list with a tuple for each round: `(low, high)` or, if the
              hyperparameter is categorical, the remaining values.
        """
        infos = []
        for hp in self._tuned():
            trials = [t for t in self._completed() if t.has(hp)]
            infos.append(
                {
                    "name": hp.name,
                    "values": [t.hyperparameters.values[hp.name] for t in trials],
                    "scores": [trial.score for trial in trials],
                    "rounds": [trial.round for trial in trials],
                    "scale": scale_of(hp),
                    "ranges": self._ranges(hp),
                }
            )
        return infos

    def plot(self):
        """Plots the best score so far, the expected best score and each hyperparameter.

        Returns:
            The Matplotlib figure.

        Raises:
            ValueError: If no trial is completed.
        """
        if not self._completed():
            raise ValueError(f"Nothing to plot. {texts.nothing_completed(self)}")
        return plots.overview(self)

    def plot_best_so_far(self, ax=None):
        """Plots the score of each trial, and the best score so far.

        Args:
            ax: Matplotlib axes to draw on. Defaults to `None`, which creates new axes.

        Returns:
            The Matplotlib figure.
        """
        return plots.best_so_far(
            self.best_so_far_info(), self.oracle.objective.name, ax
        )

    def plot_expected_best(self, ax=None):
        """Plots the expected best score of n random trials; see `expected_best_info`.

        Args:
            ax: Matplotlib axes to draw on. Defaults to `None`, which creates new axes.

        Returns:
            The Matplotlib figure.
        """
        info = self.expected_best_info()
        return plots.expected_best(info, self.oracle.objective.name, ax)

    def plot_hyperparameters(self, figure=None):
        """Plots the scores against each hyperparameter, with the ranges of each round.

        Args:
            figure: Matplotlib figure to draw on. Defaults to `None`, which creates a
                new figure.

        Returns:
            The Matplotlib figure.
        """
        infos = self.hyperparameters_info()
        return plots.hyperparameters(infos, self.oracle.objective.name, figure)

    def __repr__(self) -> str:
        return texts.sentence_of(self)

    def _repr_html_(self) -> str:
        return texts.html_of(self)

    def _completed(self) -> list[SearchTrial]:
        return [t for t in self.oracle.trials.values() if t.status == COMPLETED]

    def _tuned(self) -> list:
        return [hp for hp in self.oracle.hyperparameters.space if not is_constant(hp)]

    def _is_maximized(self) -> bool:
        return self.oracle.objective.direction == "max"

    def _position(self, hp, trial: SearchTrial) -> float:
        value = trial.hyperparameters.values[hp.name]
        return to_probability(hp, value)

    def _ranges(self, hp) -> list[tuple]:
        """Returns the range of each round, as a pair of bounds or as all values."""
        last = max((trial.round for trial in self.oracle.trials.values()), default=0)
        ranges = [self.oracle.range_of(hp, number) for number in range(1, last + 1)]
        return [to_values(hp, one) for one in ranges] if is_ordered(hp) else ranges
