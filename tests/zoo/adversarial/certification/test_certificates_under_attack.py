"""Certified examples, which no attack breaks."""

import numpy as np
import pytest

from zoo.adversarial import (
    APGD,
    FGSM,
    PGD,
    Square,
    certify,
    minimal_perturbations,
)
from zoo.adversarial.attacks.run_attack import run_attack
from zoo.adversarial.attacks.smoothed import Smoothed
from zoo.adversarial.classifier.classifier import Classifier


@pytest.mark.heavy
@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 0.03), ("l2", 0.2)])
def test_what_is_certified_survives_attacks(trained, digits, norm, epsilon):
    x, y = (part[:200] for part in digits[1])
    survives_attacks(trained, x, y, norm, epsilon, steps=30)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("norm", "epsilons", "steps"),
    [("linf", (0.02, 0.05), 60), ("l2", (0.15, 0.3), 60), ("l1", (0.2, 0.5), 20)],
)
def test_thousands_of_certificates_survive_attacks(
    trained, digits, norm, epsilons, steps
):
    x, y = (np.concatenate(parts) for parts in zip(*digits, strict=True))
    counts = [
        survives_attacks(trained, x, y, norm, epsilon, steps) for epsilon in epsilons
    ]
    assert sum(counts) > 2000


def survives_attacks(model, x, y, norm, epsilon, steps):
    """Returns the number of examples that are certified, and no attack breaks."""
    report = certify(model, (x, y), epsilon, norm, verbose=0)
    certified = report.certified[epsilon]
    assert certified.mean() > 0.3
    found = minimal_perturbations(model, (x, y), norm, steps=steps, verbose=0)
    assert (found.distances[certified] > epsilon).all()
    classifier = Classifier(model)
    x, y = classifier.check_data(x, y, (0, 1))
    attacks = [
        FGSM(epsilon, norm=norm),
        PGD(epsilon, norm=norm, steps=steps, restarts=2),
        *(
            APGD(epsilon, norm=norm, loss=loss, steps=steps)
            for loss in ("cross_entropy", "dlr", "targeted_dlr")
        ),
        Smoothed(epsilon, norm=norm, steps=10),
    ]
    if norm in Square.supported_norms:
        attacks.append(Square(epsilon, norm=norm, steps=2 * steps))
    broken = np.zeros(len(x), bool)
    for attack in attacks:
        broken |= run_attack(attack, classifier, x, y).broken
        assert not (broken & certified).any()
    # The attacks are not idle: they also break examples that the model gets right.
    assert broken.mean() > 1 - report.clean_accuracy
    return int(certified.sum())
