"""The reference application, written after the documentation of what it is made of.

FastAPI: "Request Body", "Dependencies with yield", "HTTPBearer", "Lifespan Events". SQLAlchemy: "Asynchronous I/O"
(``async_sessionmaker`` with ``expire_on_commit=False``, a session per request). httpx: "Async Support" (one
``AsyncClient`` for the application). Served by one uvicorn worker with uvloop and httptools.

``usual`` is that as it is. ``tuned`` is what one changes first after measuring: one connection to the database, so that
writers queue instead of meeting SQLite's lock, aiohttp's client for httpx's, and no access log.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import aiohttp
import httpx
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from bench.reference import payments
from bench.reference.accounts import TENANT_OF_KEY, TENANTS, Tenant
from bench.reference.bodies import CallbackBody, Create
from bench.reference.tables import Base, IdempotencyKey, set_pragmas

Send = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
bearer = HTTPBearer()
router = APIRouter()


def make_app(variant: str, provider_port: int, database: str) -> FastAPI:
    """The application of a variant."""
    url = f"sqlite+aiosqlite:///{database}"
    tuned = {"pool_size": 1, "max_overflow": 0} if variant == "tuned" else {}
    engine = create_async_engine(url, **tuned)
    set_pragmas(engine)
    client = {"usual": with_httpx, "tuned": with_aiohttp}[variant]

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with client(f"http://127.0.0.1:{provider_port}/pay/url") as send:
            app.state.send = send
            app.state.new_session = async_sessionmaker(engine, expire_on_commit=False)
            yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)
    app.include_router(router)
    return app


@asynccontextmanager
async def with_httpx(url: str) -> AsyncIterator[Send]:
    """One httpx client for the application."""
    async with httpx.AsyncClient() as client:

        async def send(body: dict[str, Any]) -> dict[str, Any]:
            answer = await client.post(url, json=body)
            answer.raise_for_status()
            return answer.json()

        yield send


@asynccontextmanager
async def with_aiohttp(url: str) -> AsyncIterator[Send]:
    """One aiohttp client for the application."""
    async with aiohttp.ClientSession(raise_for_status=True) as client:

        async def send(body: dict[str, Any]) -> dict[str, Any]:
            async with client.post(url, json=body) as answer:
                return await answer.json()

        yield send


def authenticated(credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> Tenant:
    """The tenant whose key was sent."""
    tenant = TENANT_OF_KEY.get(hashlib.sha256(credentials.credentials.encode()).hexdigest())
    if tenant is None:
        raise HTTPException(401)
    return tenant


async def session(request: Request) -> AsyncIterator[AsyncSession]:
    """A session for the time of a request."""
    async with request.app.state.new_session() as one:
        yield one


Session = Annotated[AsyncSession, Depends(session)]


@router.post("/v1/payments", status_code=201)
async def create(
    request: Request,
    body: Create,
    tenant: Annotated[Tenant, Depends(authenticated)],
    idempotency_key: Annotated[str, Header(min_length=8, max_length=128)],
    session: Session,
) -> Response:
    """A new payment, or the stored answer of a repeated request."""
    fingerprint = hashlib.sha256(await request.body()).hexdigest()
    known = await session.scalar(select(IdempotencyKey).filter_by(tenant=tenant.name, idempotency_key=idempotency_key))
    if known is not None:
        return payments.repeated(known, fingerprint)
    claim = IdempotencyKey(tenant=tenant.name, idempotency_key=idempotency_key, fingerprint=fingerprint)
    return await payments.create(session, request.app.state.send, tenant, claim, body)


@router.post("/callbacks/{name}/pay/callback", status_code=204)
async def callback(
    request: Request, name: str, body: CallbackBody, crm_pay_token: Annotated[str, Header()], session: Session
) -> Response:
    """What the PSP reports about a payment."""
    tenant = TENANTS.get(name)
    if tenant is None or not hmac.compare_digest(crm_pay_token, tenant.account.token):
        raise HTTPException(401)
    await payments.captured(session, tenant, body, await request.body())
    return Response(status_code=204)
