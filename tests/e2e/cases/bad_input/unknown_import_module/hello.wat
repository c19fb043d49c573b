(module
  (import "env" "sqrt" (func (param f64) (result f64)))
  (memory (export "memory") 1)
  (func (export "_start")))
