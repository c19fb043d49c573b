from frozenlist import FrozenList, PyFrozenList
print(FrozenList is not PyFrozenList)
f = FrozenList([1, 2]); f.append(3); f.freeze()
print(f, hash(f) == hash((1, 2, 3)), f.frozen)
try: f.append(1)
except RuntimeError as e: print(e)
