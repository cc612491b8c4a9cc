"""What attacks maximise: functions of logits and labels, one value an example.

None of them vanishes where a model is sure of itself, or where its logits are large:
so no float32 rounds their gradients to zero.
"""

from keras import ops


def cross_entropy(logits, labels):
    """Returns the log-odds against the label, which cross-entropy is a function of.

    With z the logits and y the label this is m = log(sum of exp(z_k), k != y) - z_y.
    Cross-entropy is softplus(m): it rises with m, and its gradient is that of m times
    a positive number, 1 - p_y. That number is what underflows where a model is sure,
    as with logits that were multiplied by 100; the direction is kept.
    """
    return ops.logsumexp(_others(logits, labels), axis=1) - _of(logits, labels)


def margin(logits, labels):
    """Returns how far the largest other logit is above that of the label."""
    return ops.max(_others(logits, labels), axis=1) - _of(logits, labels)


def dlr(logits, labels):
    """Returns the difference-of-logits ratio, which no scale of the logits changes.

    Croce & Hein, "Reliable Evaluation of Adversarial Robustness with an Ensemble of
    Diverse Parameter-free Attacks" (2020), section 4. With two classes it would be
    constant: there the margin takes its place.
    """
    difference = margin(logits, labels)
    if logits.shape[1] < 3:
        return difference
    top = ops.top_k(logits, 3)[0]
    return difference / (top[:, 0] - top[:, 2] + 1e-12)


def targeted_dlr(logits, labels, targets):
    """Returns the ratio whose growth makes `targets` overtake `labels`.

    Croce & Hein (2020), section 4.3. It needs four classes: with fewer, the
    difference of the two logits takes its place.
    """
    difference = _of(logits, targets) - _of(logits, labels)
    if logits.shape[1] < 4:
        return difference
    top = ops.top_k(logits, 4)[0]
    return difference / (top[:, 0] - (top[:, 2] + top[:, 3]) / 2 + 1e-12)


def divergence(logits, clean_logits):
    """Returns KL(clean || perturbed), which TRADES maximises and trains against.

    Zhang et al., "Theoretically Principled Trade-off between Robustness and Accuracy"
    (2019), equation 5 with the divergence of their section 5.
    """
    clean = ops.log_softmax(clean_logits, axis=1)
    return ops.sum(ops.exp(clean) * (clean - ops.log_softmax(logits, axis=1)), axis=1)


def likely_others(logits, labels, rank):
    """Returns the classes that come at `rank`, 0 the first, among the wrong ones.

    `rank` is one for all, or one for each example.
    """
    order = ops.argsort(-_others(logits, labels), axis=1)
    return _of(order, ops.broadcast_to(rank, ops.shape(labels)))


def _others(logits, labels):
    """The logits, with minus infinity at the label."""
    is_label = ops.one_hot(labels, logits.shape[1], dtype="bool")
    return ops.where(is_label, -float("inf"), logits)


def _of(logits, labels):
    return ops.squeeze(ops.take_along_axis(logits, labels[:, None], axis=1), axis=1)
