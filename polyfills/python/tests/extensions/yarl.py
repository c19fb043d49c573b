from yarl import URL
import yarl._quoting
u = URL("http://user:pass@пример.рф:8080/a b/ü?q=1&q=2#f")
print(u, u.host, u.raw_host, u.path, u.query, u.fragment)
print(u / "x" % {"k": "v&w"}, u.with_query(a=1), u.join(URL("../z")), yarl._quoting.NO_EXTENSIONS if hasattr(yarl._quoting, "NO_EXTENSIONS") else yarl._quoting._Quoter.__module__)
