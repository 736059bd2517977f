"""Images that cannot be used, and what becomes of them."""

import contextlib

_POLICIES = ("raise", "skip")


class Faults:
    """What to do about images of a set that cannot be used, and their count.

    Args:
        policy: "raise", so that the first one ends the work with an error that
            names it, or "skip": it is told in a printed line, once, and left
            out.

    Attributes:
        found: dict from the names of faulty images to what is wrong with them.
            With "raise", the one that was raised.

    Raises:
        ValueError: if the policy is another.

    Example:

    >>> faults = Faults("skip")
    >>> with faults.caught("image 7"):
    ...     raise ValueError("Expected a pixel; received: none.")
    Skipping image 7: Expected a pixel; received: none.
    >>> faults.found
    {'image 7': 'Expected a pixel; received: none.'}
    """

    def __init__(self, policy="raise"):
        if policy not in _POLICIES:
            raise ValueError(
                f"Expected the policy on faulty images to be one of "
                f"{_POLICIES}; received: {policy!r}."
            )
        self.policy = policy
        self.found = {}

    @contextlib.contextmanager
    def caught(self, name):
        """A block that uses an image, and fails if it cannot be used.

        Args:
            name: str, the image's.

        Raises:
            ValueError, OSError: the block's own, if policy is "raise".
        """
        try:
            yield
        except (ValueError, OSError) as error:
            is_new = name not in self.found
            self.found[name] = str(error)
            if self.policy == "raise":
                raise
            if is_new:
                print(f"Skipping {name}: {error}", flush=True)
