class DivergenceError(ValueError):
    """Training went wrong time and again; the message says what may cause it.

    Raised by `DivergenceGuard`. The model holds its last healthy state.
    """
