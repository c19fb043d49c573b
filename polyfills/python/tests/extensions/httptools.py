import httptools
class P:
    def on_url(self, u): print("url", u)
    def on_header(self, n, v): print("header", n, v)
    def on_body(self, b): print("body", b)
    def on_message_complete(self): print("complete")
p = httptools.HttpRequestParser(P())
for part in (b"POST /a?b=1 HTTP/1.1\r\nHost: x\r\nContent-", b"Length: 5\r\n\r\nhel", b"lo"): p.feed_data(part)
print(p.get_method(), p.get_http_version(), p.should_keep_alive())
u = httptools.parse_url(b"http://h:81/p?q#f"); print(u.schema, u.host, u.port, u.path, u.query, u.fragment)
try: httptools.HttpRequestParser(P()).feed_data(b"NONSENSE\r\n\r\n")
except httptools.HttpParserError as e: print(type(e).__name__)
