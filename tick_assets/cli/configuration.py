"""The command line's composition root: read the effective settings once, and enter their environment.

What belongs here: turning a configuration that can't be read into a plain message. What must not: defaults (see `settings`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tick_assets.cli.errors import CommandError

if TYPE_CHECKING:
    from tick_assets.settings import Settings


def effective_settings(**overrides: Any) -> Settings:
    """Return the settings, or a `CommandError` that names the variable or key that is wrong."""
    from tomllib import TOMLDecodeError

    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from tick_assets.settings import load_settings

    try:
        return load_settings(**overrides)
    except ValidationError as error:
        problems = map(_problem, error.errors())
        raise CommandError(f"Expected a configuration that can be read, was {'; '.join(problems)}. Correct it and repeat.") from error
    except (TOMLDecodeError, SettingsError) as error:
        raise CommandError(f"Expected a TOML file that can be read, was {error}. Correct $TICK_HOME/tick.toml (or TICK_CONFIG).") from error


def _problem(item: Mapping[str, Any]) -> str:
    """Word one problem; one of several settings together has the whole configuration, secrets included, as its input."""
    if not item["loc"]:
        return str(item["msg"]).removeprefix("Value error, ")
    return f"{_variable(item['loc'])}: {item['msg'].lower()}, was {item.get('input')!r}"


def _variable(location: tuple[int | str, ...]) -> str:
    return "TICK_" + "_".join(str(part) for part in location).upper()


def enter_environment(settings: Settings) -> None:
    """Give this process the variables that Spark, Dagster, dbt, MLflow and S3 clients read; call it before they are imported."""
    from tick_assets.stack.environment import environment
    from tick_assets.stack.secrets import ensure_secrets

    ensure_secrets(settings)
    os.environ.update(environment(settings))


@contextmanager
def stack_errors() -> Iterator[None]:
    """Turn the stack's errors into the command line's."""
    from tick_assets.stack.errors import StackError

    try:
        yield
    except StackError as error:
        raise CommandError(str(error)) from error
