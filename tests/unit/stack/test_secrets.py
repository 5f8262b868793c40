"""Secrets: made once, for their owner only, different everywhere, and in no place where others read."""

from __future__ import annotations

import base64
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tick_assets.settings import Settings
from tick_assets.stack.doctor import configuration
from tick_assets.stack.environment import service_environment
from tick_assets.stack.secrets import API_KEY_NAMES, ensure_secrets
from tick_assets.stack.service import Site
from tick_assets.stack.services import ALL_SERVICES


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def secret_texts(settings: Settings) -> list[str]:
    secrets = settings.secrets
    keys = [key.get_secret_value() for key in secrets.api_keys.values()]
    return [secrets.postgres_password.get_secret_value(), secrets.s3_secret_key.get_secret_value(), *keys]


def test_secrets_are_readable_by_their_owner_only(settings: Settings) -> None:
    ensure_secrets(settings)
    keys = settings.home / "keys"
    assert [mode_of(path) for path in (settings.secrets_file, keys / "passport_ed25519", keys)] == [0o600, 0o600, 0o700]


def test_secrets_second_start_keeps_the_first(settings: Settings) -> None:
    ensure_secrets(settings)
    before = settings.secrets_file.read_text(), (settings.home / "keys" / "passport_ed25519").read_text()
    ensure_secrets(settings)
    assert (settings.secrets_file.read_text(), (settings.home / "keys" / "passport_ed25519").read_text()) == before


def test_secrets_api_keys_are_named_and_all_different(settings: Settings) -> None:
    ensure_secrets(settings)
    assert tuple(settings.secrets.api_keys) == API_KEY_NAMES
    assert len(set(secret_texts(settings))) == 2 + len(API_KEY_NAMES)


def test_passport_keys_belong_together(settings: Settings) -> None:
    ensure_secrets(settings)
    private, public = (
        base64.b64decode((settings.home / "keys" / name).read_text()) for name in ("passport_ed25519", "passport_ed25519.pub")
    )
    assert Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw() == public


def test_command_lines_hold_no_secret(settings: Settings, site: Site) -> None:
    ensure_secrets(settings)
    lines = " ".join(" ".join(service.command(site)) for service in ALL_SERVICES)
    assert not [text for text in secret_texts(settings) if text in lines]


def test_configuration_hides_a_password_in_an_address(settings: Settings) -> None:
    shown = configuration(settings.model_copy(update={"postgres_url": "postgresql://me:hunter2@db:5432"}))
    assert shown["postgres_url"] == "postgresql://me:***@db:5432"


def test_service_environment_drops_what_points_elsewhere(settings: Settings) -> None:
    ensure_secrets(settings)
    caller = {"PGHOST": "elsewhere", "MLFLOW_TRACKING_URI": "http://elsewhere", "HOME": "/home/me", "AWS_PROFILE": "work"}
    variables = service_environment(settings, "mlflow", caller)
    assert "PGHOST" not in variables
    assert "AWS_PROFILE" not in variables
    assert variables["MLFLOW_TRACKING_URI"] == settings.mlflow_address
    assert variables["HOME"] == "/home/me"
