import asyncio
import aiohttp
from aiohttp import web, http_parser, http_writer

async def main():
    print(http_parser.HttpRequestParser.__module__)
    async def hello(request):
        return web.json_response({"path": request.path, "n": len(await request.read())})
    async def ws(request):
        s = web.WebSocketResponse(); await s.prepare(request)
        async for m in s: await s.send_str(m.data[::-1])
        return s
    app = web.Application(); app.router.add_post("/{x}", hello); app.router.add_get("/ws", ws)
    runner = web.AppRunner(app); await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0); await site.start()
    port = site._server.sockets[0].getsockname()[1]
    async with aiohttp.ClientSession() as s:
        for n in (0, 10, 200000):
            async with s.post(f"http://127.0.0.1:{port}/p{n}", data=b"x" * n) as r:
                print(r.status, await r.json())
        async with s.ws_connect(f"http://127.0.0.1:{port}/ws") as w:
            await w.send_str("abc"); print((await w.receive()).data)
    await runner.cleanup()
asyncio.run(main())
