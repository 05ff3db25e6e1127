"""Words errors in settings for a command line: the variables' names and what is wrong, never a value."""

from pydantic import ValidationError

from service.kit.settings import setting_places


def wrong_settings(err: ValidationError) -> str:
    """Return one line with the name and the error of each wrong variable."""
    return "; ".join(
        # A rule about several settings names them itself.
        f"{_variable(problem['loc'])}: {problem['msg']}"
        if problem["loc"]
        else problem["msg"].removeprefix("Value error, ")
        for problem in err.errors()
    )


def _variable(place: tuple[int | str, ...]) -> str:
    inside = place[1:] if len(place) > 1 and place[0] not in setting_places() else place  # past the group's name
    return f"OMNI_{'_'.join(str(part) for part in inside).upper()}"
