import asyncio, websockets.speedups
from websockets.asyncio.server import serve
from websockets.asyncio.client import connect
print(websockets.speedups.apply_mask(b"hello world" * 3, b"\x01\x02\x03\x04"))
async def echo(ws):
    async for m in ws: await ws.send(m[::-1])
async def main():
    async with serve(echo, "127.0.0.1", 0) as s:
        port = s.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}") as c:
            for m in ("abc", b"\x00\x01" * 1000):
                await c.send(m); r = await c.recv(); print(r == m[::-1], len(r))
asyncio.run(main())
