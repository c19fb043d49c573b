import sys

from greet import greeting

print(greeting(sys.argv[1:]))
