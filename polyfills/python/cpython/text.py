import sys
text = open(sys.argv[1], "rb").read()
print("static const char vkernel_py[] = {")
for at in range(0, len(text), 20):
    print("".join("%d," % byte for byte in text[at:at + 20]))
print("0};")
