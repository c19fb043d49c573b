import pickle

import rpds

numbers = rpds.HashTrieMap({n: n * n for n in range(1000)})
more = numbers.insert(1000, 1_000_000).remove(7)
print(len(numbers), len(more), 7 in more, numbers[7], more.get(7, "gone"))
print(rpds.List([1, 2, 3]).push_front(0), rpds.HashTrieSet({1, 2}) == rpds.HashTrieSet([2, 1]))
print(pickle.loads(pickle.dumps(numbers)) == numbers)
try:
    numbers[[]]
except TypeError as error:
    print(error)
try:
    numbers[-1]
except KeyError as error:
    print("KeyError", error)


class Unhashable:
    def __hash__(self):
        raise ValueError("no hash")


try:
    rpds.HashTrieSet([Unhashable()])
except ValueError as error:
    print(error)
