"""What teachers check of their arguments."""


def check_temperature(temperature):
    """Raises unless a temperature is above 0."""
    if not temperature > 0:
        raise ValueError(
            f"Expected `temperature` to be positive; received: {temperature!r}."
        )


def check_count(name, value):
    """Raises unless a value is a positive int."""
    if not isinstance(value, int) or value < 1:
        raise ValueError(
            f"Expected `{name}` to be a positive int; received: {value!r}."
        )
