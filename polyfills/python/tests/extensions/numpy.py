import numpy as np
a = np.arange(24, dtype=np.float64).reshape(4, 6)
print(a.sum(axis=0), a.mean(), (a @ a.T)[1], np.linalg.det(np.array([[2.0, 1], [1, 3]])), a[::2, a[0] > 2])
print(np.linalg.solve([[3.0, 1], [1, 2]], [9.0, 8]), np.sort(np.array([3, 1, 2]))[::-1], np.fft.fft([1.0, 0, 0, 0]))
r = np.random.default_rng(42); print(r.integers(0, 100, 5), r.normal(size=3).round(6), r.permutation(5))
print(np.array([1, 2], dtype="int8") + np.int8(127), np.float32(0.1), np.arange(5, dtype="complex64") ** 2, np.array("2024-01-05", dtype="M8[D]") + 3)
print(np.dtype([("a", "i4"), ("b", "f8")]).itemsize, np.array(["ab", "c"]).astype("U5"), np.isnan(np.float64(0) / np.nan), np.einsum("ij,ij->i", a, a))
s, v, d = np.linalg.svd(a); print(v.round(8)); print(np.linalg.eigvalsh(np.diag([3.0, 1, 2])))
import io
b = io.BytesIO(); np.savez(b, x=a); b.seek(0); print(np.load(b)["x"].shape, np.loadtxt(io.StringIO("1 2\n3 4")).tolist())
