"""Wire types: what callers send and what they get back, as pydantic models.

What belongs here: shapes and their limits. What must not: rules. Ticks are validated by `tick_batches`, a quicker path over the same
shape; `TickIn` documents it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9._]{0,31}$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
EventId = Annotated[str, Field(min_length=1, max_length=200)]
Finite = Annotated[float, Field(allow_inf_nan=False)]

_FIRST_YEAR, _LAST_YEAR = 1971, 2099


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Out(BaseModel):
    model_config = ConfigDict(frozen=True)


class TickIn(_In):
    """One quote. Prices are whole points of the symbol; sizes are in units."""

    symbol: Symbol
    ts_event: AwareDatetime
    bid_price: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    ask_price: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    bid_size: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    ask_size: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class ModelRef(_Out):
    """Which model spoke; all null when there was none."""

    id: str | None
    sha256: str | None
    passport_id: str | None


class SignalOut(_Out):
    """What one model says about one event; prices in price units, `max_position` in lots."""

    signal_id: str
    event_id: str
    symbol: str
    strategy: str
    action: Literal["OPEN", "CLOSE", "NONE"]
    view: Literal["LONG", "SHORT", "FLAT"]
    probability: float | None
    ts_event: AwareDatetime
    issued_at: AwareDatetime
    valid_until: AwareDatetime
    exit_at: AwareDatetime | None
    bid_price: float
    ask_price: float
    stop_loss: float | None
    take_profit: float | None
    max_position: float
    mode: Literal["live", "shadow", "replay"]
    is_synthetic: bool
    model: ModelRef
    features_sha256: str | None
    reasons: list[str]


class RejectedTick(_Out):
    """A tick that was refused: its place in the request and why."""

    index: int
    reason_code: str


class TicksOut(_Out):
    """What a request of ticks caused."""

    accepted: int
    rejected: list[RejectedTick]
    signals: list[SignalOut]


class SignalsOut(_Out):
    """Signals in the order in which they were issued; pass `next` as `after` to go on."""

    signals: list[SignalOut]
    next: str | None


class ServedModelOut(_Out):
    """A model that the service answers with."""

    symbol: str
    strategy: str
    mode: Literal["live", "shadow"]
    version: str
    model: ModelRef
    is_synthetic: bool
    loaded_at: AwareDatetime
    verdict: dict[str, Any]
    passport: dict[str, Any]


class RefusedBundleOut(_Out):
    """A bundle that the service refused; the model before it stays."""

    symbol: str
    strategy: str
    mode: Literal["live", "shadow"]
    version: str
    reason_code: str
    detail: str
    refused_at: AwareDatetime


class ModelsOut(_Out):
    """All models of the service, and what it refused."""

    models: list[ServedModelOut]
    refused: list[RefusedBundleOut]


class ExecutionIn(BaseModel):
    """One order event of an execution process; members beyond the named ones are kept as they are."""

    model_config = ConfigDict(extra="allow", frozen=True)

    event_id: EventId
    ts_event: AwareDatetime | None = None
    signal_id: Annotated[str, Field(max_length=200)] | None = None
    account: Annotated[str | int, Field()] | None = None
    symbol: Symbol | None = None
    state: Annotated[str, Field(max_length=64)] | None = None
    price: Finite | None = None
    exit_price: Finite | None = None
    quantity: Finite | None = None
    filled_quantity: Finite | None = None
    volume: Finite | None = None
    stop_loss: Finite | None = None
    take_profit: Finite | None = None
    profit: Finite | None = None
    net_pnl_account: Finite | None = None

    @field_validator("ts_event")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        if value is not None and not _FIRST_YEAR <= value.year <= _LAST_YEAR:
            raise ValueError(f"Expected a year from {_FIRST_YEAR} to {_LAST_YEAR}.")
        return value.astimezone(UTC) if value is not None else None

    @model_validator(mode="after")
    def _is_json(self) -> ExecutionIn:
        """Refuse what JSON lines could not hold: lone surrogates, integers beyond 64 bits, endless nesting."""
        try:
            orjson.dumps(self.document())
        except orjson.JSONEncodeError as error:
            raise ValueError("Expected members that JSON can hold.") from error
        return self

    def document(self) -> dict[str, Any]:
        """Return the event as it was sent, without the named members that it lacks."""
        return self.model_dump(mode="json", exclude_unset=True)


class ExecutionsIn(_In):
    """A batch of order events."""

    events: Annotated[list[ExecutionIn], Field(min_length=1, max_length=1000)]


class ExecutionsOut(_Out):
    """How many events were new; a repeated `event_id` changes nothing."""

    accepted: int
    duplicates: int


class LifecycleIn(_In):
    """Which model a lifecycle run is about."""

    symbol: Symbol
    strategy: Name = "direction"
    version: Name | None = None
    shadow: bool = False


class LifecycleOut(_Out):
    """The Dagster run that was launched."""

    run_id: str
    job: str
    partition: str
    url: str


class LiveOut(_Out):
    """Whether the service opens positions; closes are emitted either way."""

    state: Literal["started", "stopped"]
    changed_at: AwareDatetime | None
    changed_by: str | None


class HealthOut(_Out):
    status: Literal["ok"]


class ReadyOut(_Out):
    """Ready: models were pulled at least once and the kernel is compiled."""

    status: Literal["ready"]
    models: int
