from propcache import cached_property, under_cached_property
from propcache import _helpers
class C:
    def __init__(self): self._cache = {}; self.n = 0
    @under_cached_property
    def a(self): self.n += 1; return self.n
    @cached_property
    def b(self): self.n += 1; return self.n
c = C()
print(c.a, c.a, c.b, c.b, c.n, c._cache, _helpers.NO_EXTENSIONS)
try: c.a = 3
except AttributeError as e: print(e)
