from bitarray import bitarray, util
a = bitarray("0110101"); a.extend(bitarray(20)); a[7:] = True
print(a, a.count(), a.find(bitarray("101")), ~a, a.tobytes().hex(), util.ba2int(a), a << 3)
print(util.huffman_code({"a": 5, "b": 2, "c": 1}), util.int2ba(1000), util.crc if hasattr(util, "crc") else "")
