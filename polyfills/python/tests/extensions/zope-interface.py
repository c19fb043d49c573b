from zope.interface import Interface, implementer, providedBy, Attribute
from zope.interface.adapter import AdapterRegistry
import zope.interface._zope_interface_coptimizations as c
class I(Interface):
    x = Attribute("x")
    def f(a): "does f"
@implementer(I)
class C:
    def f(self, a): return a
print(I.providedBy(C()), list(providedBy(C())), I.implementedBy(C), sorted(I))
r = AdapterRegistry(); r.register([I], I, "", "factory")
print(r.lookup([I], I), C().f(3), type(providedBy(C())).__name__)
