"""A store of items in memory, described by models."""

import asyncio
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Annotated

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field


class Item(BaseModel):
    price: Annotated[Decimal, Field(gt=0, decimal_places=2)]
    tags: list[str] = []


@asynccontextmanager
async def lifespan(_app):
    yield
    print("service: goodbye", flush=True)


app = FastAPI(title="Items", lifespan=lifespan)
items: dict[str, Item] = {}


@app.put("/items/{name}", status_code=201)
async def put(name: str, item: Item) -> Item:
    items[name] = item
    return item


@app.get("/items/{name}")
async def get(name: str) -> Item:
    if name not in items:
        raise HTTPException(404, f"there is no item {name}")
    return items[name]


@app.get("/total")
def total() -> dict[str, Decimal]:
    # In a thread of the pool, since it is no coroutine.
    return {"total": sum((item.price for item in items.values()), Decimal(0))}


@app.get("/slow")
async def slow() -> str:
    await asyncio.sleep(2)
    return "slept"
