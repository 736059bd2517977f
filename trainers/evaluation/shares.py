"""Shares of images, and what they tell of all images of the kind."""

from scipy import stats


def share_interval(share, count):
    """A share of so many images with Wilson's 95% interval: dict for JSON."""
    test = stats.binomtest(round(share * count), count)
    low, high = test.proportion_ci(0.95, method="wilson")
    return {"value": float(share), "low": float(low), "high": float(high)}
