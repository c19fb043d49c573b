from multidict import CIMultiDict, MultiDict, istr
import multidict._multidict
d = CIMultiDict([("A", 1), ("a", 2), ("b", 3)])
d.add("B", 4)
print(d.getall("a"), d["B"], sorted(d.items()), len(d), "A" in d)
print(d.popall("a"), d.copy(), istr("Xy"))
m = MultiDict((str(i % 7), i) for i in range(50))
print(m.getall("3"), list(m.keys())[:5], m.getone("2"))
