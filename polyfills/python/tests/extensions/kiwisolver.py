from kiwisolver import Solver, Variable, UnsatisfiableConstraint
x, y = Variable("x"), Variable("y"); s = Solver()
for c in (x + y == 10, x >= 2 * y, (y >= 3) | "weak"): s.addConstraint(c)
s.updateVariables(); print(round(x.value(), 9), round(y.value(), 9))
try: s.addConstraint(x <= 1); s.addConstraint(y <= 1)
except UnsatisfiableConstraint as e: print(type(e).__name__)
