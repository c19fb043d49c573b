import wrapt
from wrapt import _wrappers

@wrapt.decorator
def twice(wrapped, instance, args, kwargs):
    return wrapped(*args, **kwargs) * 2

class C:
    @twice
    def m(self, x): return x + 1
    @twice
    @classmethod
    def k(cls): return cls.__name__

print(C().m(4), C.k(), C.m.__name__, wrapt.ObjectProxy is _wrappers.ObjectProxy)
p = wrapt.ObjectProxy([1, 2])
p.append(3)
print(p, len(p), p == [1, 2, 3], isinstance(p, list), p + [4])
