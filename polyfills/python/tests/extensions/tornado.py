import asyncio, tornado.web, tornado.httpclient, tornado.httpserver, tornado.speedups, tornado.testing
print(tornado.speedups.websocket_mask(b"abcd", b"hello world"))
class H(tornado.web.RequestHandler):
    def get(self): self.write({"q": self.get_argument("q")})
async def main():
    sock, port = tornado.testing.bind_unused_port()
    s = tornado.httpserver.HTTPServer(tornado.web.Application([("/", H)])); s.add_sockets([sock])
    r = await tornado.httpclient.AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/?q=%C3%BC")
    print(r.code, r.body)
asyncio.run(main())
