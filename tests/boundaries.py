"""A failure rehearsed at every boundary between two durable acts, in this process."""


class Stop(Exception):
    """Raised by a step at the boundary where a failure is rehearsed."""


def boundaries(act) -> list[str]:
    """The boundaries that an act passes."""
    passed: list[str] = []
    act(passed.append)
    return passed


def stop_at(number: int):
    """A step that raises at the boundary of that number, from 0."""
    left = [number]

    def step(boundary: str) -> None:
        if left[0] == 0:
            raise Stop(boundary)
        left[0] -= 1

    return step
