"""Objectives that attacks maximize: functions of logits, with one value per example.

Except for the gradient of `divergence`, the gradients do not vanish if a model is very
confident or has large logits, so they are not rounded to zero in float32.
"""

from keras import ops


def cross_entropy(logits, labels):
    """Returns the log-odds against the label, which increase with cross-entropy.

    For logits z and label y, the log-odds are m = log(sum of exp(z_k), k != y) - z_y.
    Cross-entropy is softplus(m), which increases with m. The gradient of cross-entropy
    is the gradient of m times 1 - p_y, where p_y is the probability of the label. This
    factor underflows if the model is very confident, for example because its logits are
    multiplied by 100. The gradient of m has the same direction, but lacks this factor.
    """
    return ops.logsumexp(_others(logits, labels), axis=1) - _of(logits, labels)


def margin(logits, labels):
    """Returns the largest logit of a wrong class minus the logit of the label."""
    return ops.max(_others(logits, labels), axis=1) - _of(logits, labels)


def dlr(logits, labels):
    """Returns the difference-of-logits ratio, which is invariant to the logit scale.

    The ratio is defined in section 4 of Croce & Hein, "Reliable Evaluation of
    Adversarial Robustness with an Ensemble of Diverse Parameter-free Attacks" (2020).
    It requires at least three classes. With two classes, the function returns the
    margin instead.
    """
    difference = margin(logits, labels)
    if logits.shape[1] < 3:
        return difference
    top = ops.top_k(logits, 3)[0]
    return difference / (top[:, 0] - top[:, 2] + 1e-12)


def targeted_dlr(logits, labels, targets):
    """Returns the difference-of-logits ratio of `targets` against `labels`.

    The ratio is positive if the logit of the target exceeds the logit of the label.

    The ratio is defined in section 4.3 of Croce & Hein (2020). It requires at least
    four classes. With fewer classes, the function returns the difference between the
    two logits instead.
    """
    difference = _of(logits, targets) - _of(logits, labels)
    if logits.shape[1] < 4:
        return difference
    top = ops.top_k(logits, 4)[0]
    return difference / (top[:, 0] - (top[:, 2] + top[:, 3]) / 2 + 1e-12)


def divergence(logits, clean_logits):
    """Returns KL(clean || perturbed), which the TRADES attack maximizes.

    This is the quantity that is maximized in equation 5 of Zhang et al., "Theoretically
    Principled Trade-off between Robustness and Accuracy" (2019), with the divergence
    used in section 5.
    """
    clean = ops.log_softmax(clean_logits, axis=1)
    return ops.sum(ops.exp(clean) * (clean - ops.log_softmax(logits, axis=1)), axis=1)


def likely_others(logits, labels, rank):
    """Returns, for each example, the wrong class with the given likelihood rank.

    Rank 0 is the most likely wrong class. `rank` is a scalar, or has one entry per
    example.
    """
    order = ops.argsort(-_others(logits, labels), axis=1)
    return _of(order, ops.broadcast_to(rank, ops.shape(labels)))


def _others(logits, labels):
    """Returns the logits, with the logit of the label set to negative infinity."""
    is_label = ops.one_hot(labels, logits.shape[1], dtype="bool")
    return ops.where(is_label, -float("inf"), logits)


def _of(logits, labels):
    return ops.squeeze(ops.take_along_axis(logits, labels[:, None], axis=1), axis=1)
