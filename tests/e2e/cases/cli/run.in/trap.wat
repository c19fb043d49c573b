;; Traps two calls deep.
(module
  (memory (export "memory") 1)
  (func $deeper unreachable)
  (func $deep call $deeper)
  (func (export "_start") call $deep))
