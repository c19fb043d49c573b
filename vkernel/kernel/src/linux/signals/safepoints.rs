//! Safepoints: how a signal gets hold of a thread that computes.
//!
//! Compiled code has safepoints in its loops (the engine puts them there), of two kinds. Some load a
//! *word* and call the engine if it is not zero. Others, of which there are more, load a byte of a
//! *page* and do nothing with it: a signal's host handler makes that page inaccessible, and the next
//! safepoint faults. The handler of that fault makes it look as if the code had called a function of its
//! own module, the *stop*, at that very instruction. The stack then, from higher addresses to lower:
//!
//! ```text
//! the interrupted function's frame
//! its registers                        [`Kept`]
//! the address of the safepoint              where the stop would return to
//! the interrupted frame pointer        what the stop's frame pointer points to
//! the stop's frame
//! ```
//!
//! The stop calls the engine, which opens the page and calls the guest's handlers. Then it loads a
//! byte of the page behind, which is never accessible: the handler of that fault puts the registers
//! back, and the safepoint is made again. Who walks the stack, frame pointer by frame pointer, sees a call
//! like any other; a handler that jumps out leaves these frames behind as it does the rest.
//!
//! **A fault is believed for what the thread was doing, not for what `siginfo` says.** A guest can
//! send itself a SIGSEGV with any contents (`rt_tgsigqueueinfo(2)`). So the instruction at which the
//! thread stopped is read: it must be one of the module's own that loads a byte, from exactly the
//! page, while the page is closed, which would fault if it were made once more. Registers are put
//! back only from a frame that [`Frames`] has, which no guest can reach.
//!
//! Invariants: what is kept lies where the guest cannot write; handlers of signals run on stacks of
//! their own, for below the interrupted frame the handler writes; safepoints on a page are only where
//! frames are complete and no register has what a garbage collector would have to find (the engine
//! sees to all this: `engine/safepoints`, `engine/alternate_stack`).
#![allow(unsafe_code)]

use std::{
    cell::Cell,
    ops::Range,
    ptr::{self, NonNull},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use super::{
    super::{
        memory::guest::PAGE,
        syscall::{self, Arg},
    },
    instruction::{self, GENERAL},
};

/// What the computations of one thread look at.
pub struct Safepoint {
    word: NonNull<AtomicU32>,
    page: Option<Page>,
}

/// A page that safepoints load from, and what happens where one of them faults.
pub struct Page {
    /// The page, and one behind it that is never accessible.
    at: NonNull<u8>,
    /// Whether the page may be inaccessible.
    closed: AtomicBool,
    /// The stop's code.
    stop: usize,
    /// Its first two arguments: the context of the module's instance, twice.
    context: usize,
    /// The compiled code that has safepoints on this page: the program's, and that of its libraries.
    text: Vec<Range<usize>>,
    /// Where the registers of interrupted code are.
    frames: Frames,
}

/// How many handlers may interrupt each other at safepoints that fault. A signal that comes deeper inside is
/// taken at the next system call.
const DEEPEST: usize = 256;

/// The addresses of all [`Kept`] of a thread that are in use, the outermost first. Only its thread's
/// handlers of faults touch them, one at a time.
struct Frames {
    len: Cell<usize>,
    at: [Cell<usize>; DEEPEST],
}

impl Frames {
    /// Forgets those that a handler has left by a jump: they lie below `stack`, where the stack ends.
    fn forget_below(&self, stack: usize) {
        while let Some(last) = self.last()
            && last < stack
        {
            self.len.set(self.len.get() - 1);
        }
    }

    fn last(&self) -> Option<usize> {
        let len = self.len.get().checked_sub(1)?;
        self.at.get(len).map(Cell::get)
    }

    /// Whether there was room.
    fn push(&self, at: usize) -> bool {
        let len = self.len.get();
        let Some(place) = self.at.get(len) else {
            return false;
        };
        place.set(at);
        self.len.set(len + 1);
        true
    }

    /// Takes the innermost one, if it is at `at`.
    fn pop(&self, at: usize) -> bool {
        let is_last = self.last() == Some(at);
        if is_last {
            self.len.set(self.len.get() - 1);
        }
        is_last
    }
}

/// Registers of interrupted code.
#[repr(C, align(16))]
struct Kept {
    general: [i64; GENERAL],
    vectors: [u8; VECTORS],
}

/// The part of the registers in `fpregs` that FXSAVE writes, without what is the kernel's own use
/// (Intel SDM 1, 10.5.1; Linux, `asm/sigcontext.h`): vector registers of 128 bits and their control.
const VECTORS: usize = 464;

/// Offset in `fpregs` of FP_XSTATE_MAGIC1, if more follows what FXSAVE writes.
const EXTENDED: (usize, u32) = (464, 0x4650_5853);

/// Offset in `fpregs` of the bits that say which registers are not as they were at the beginning,
/// and those of x87 and of the vectors.
const STATES: (usize, u64) = (512, 0b11);

impl Page {
    /// At `at` are two pages: the one that safepoints load from, which is readable, and one that is never
    /// accessible.
    ///
    /// # Safety
    ///
    /// Both pages stay as long as the [`super::inbox::Inbox`] that this goes into is a thread's, and
    /// the first one is a mapping of its own whatever its protection. Only compiled code loads the
    /// first bytes of the two: safepoints, and the stop at its end; all of it lies in `text`, which is
    /// readable as long. `stop` is the code of a compiled function without parameters that takes
    /// `context` in `rdi` and `rsi`, has a frame pointer, and does what is said above.
    pub unsafe fn new(
        at: NonNull<u8>,
        stop: usize,
        context: usize,
        text: Vec<Range<usize>>,
    ) -> Page {
        Page {
            at,
            closed: AtomicBool::new(false),
            stop,
            context,
            text,
            frames: Frames {
                len: Cell::new(0),
                at: [const { Cell::new(0) }; DEEPEST],
            },
        }
    }

    /// The address that the interrupted code is about to load a byte from, if it is compiled code that
    /// does so.
    fn loads_from(&self, context: &libc::ucontext_t) -> Option<usize> {
        let registers = &context.uc_mcontext.gregs;
        let at = *registers.get(libc::REG_RIP as usize)? as usize;
        let text = self.text.iter().find(|text| text.contains(&at))?;
        let len = instruction::LONGEST.min(text.end - at);
        // SAFETY: inside the text, which is readable (`new`).
        let code = unsafe { std::slice::from_raw_parts(at as *const u8, len) };
        instruction::byte_load(code, registers)
    }

    fn protect(&self, protection: i32) {
        let at = Arg::address(self.at.as_ptr() as u64);
        let args = [at, PAGE.into(), protection.into()];
        // SAFETY: the page is safepoints' alone (`new`). It cannot fail: no mapping is split.
        let _ = unsafe { syscall::call(libc::SYS_mprotect, args) };
    }

    /// Makes safepoints fault.
    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.protect(libc::PROT_NONE);
    }

    /// Makes them go on. Who calls this looks for signals afterwards: one that comes meanwhile may
    /// have closed the page before it is opened here.
    fn open(&self) {
        if self.closed.swap(false, Ordering::Relaxed) {
            self.protect(libc::PROT_READ);
        }
    }
}

impl Safepoint {
    /// Safepoints look at `word`, and those that do not at `page`.
    ///
    /// # Safety
    ///
    /// The word stays as long as the [`super::inbox::Inbox`] that this goes into is a thread's.
    pub unsafe fn new(word: NonNull<AtomicU32>, page: Option<Page>) -> Safepoint {
        Safepoint { word, page }
    }

    /// Makes safepoints call the engine.
    pub(crate) fn close(&self) {
        // SAFETY: it is there (`new`), and only ever used as an atomic.
        unsafe { self.word.as_ref() }.store(1, Ordering::Relaxed);
        if let Some(page) = &self.page {
            page.close();
        }
    }

    /// Makes them go on. Who calls this looks for signals afterwards.
    pub(crate) fn open(&self) {
        // SAFETY: as in `close`.
        unsafe { self.word.as_ref() }.store(0, Ordering::Relaxed);
        if let Some(page) = &self.page {
            page.open();
        }
    }

    /// Makes compiled code that stopped at a fault of its own call the stop, so that the guest's handler
    /// is called there, and afterwards do again what faulted; whether it is such code.
    ///
    /// # Safety
    ///
    /// `context` is what the kernel gave the handler, the interrupted thread's computations look at this,
    /// and the fault is one of an instruction of a function's body.
    pub(super) unsafe fn interrupt(&self, context: &mut libc::ucontext_t) -> bool {
        let Some(page) = &self.page else {
            return false;
        };
        let at = *register(context, libc::REG_RIP) as usize;
        // SAFETY: the caller's contract; inside a body, frames are whole.
        page.text.iter().any(|text| text.contains(&at))
            && unsafe { call(context, page) } == Called::Yes
    }

    /// Sees to a fault, in the handler of the signal; whether it was a safepoint's.
    ///
    /// # Safety
    ///
    /// `context` is what the kernel gave the handler, and the interrupted thread's computations look
    /// at this.
    pub(crate) unsafe fn fault(&self, context: &mut libc::ucontext_t) -> bool {
        let Some(page) = &self.page else {
            return false;
        };
        let first = page.at.as_ptr() as usize;
        let Some(address) = page.loads_from(context) else {
            return false;
        };
        // SAFETY: only safepoints load the first byte of the one page, and only the stop that of the
        // other (`Page::new`); both were seen to be just there.
        unsafe {
            if address == first && page.closed.load(Ordering::Relaxed) {
                if call(context, page) == Called::NoRoom {
                    // The signal stays in the box, and the next system call finds it there.
                    page.open();
                }
                true
            } else if address == first + PAGE as usize {
                come_back(context, page)
            } else {
                false
            }
        }
    }
}

fn register(context: &mut libc::ucontext_t, which: i32) -> &mut i64 {
    &mut context.uc_mcontext.gregs[which as usize]
}

/// Makes the interrupted code call the stop.
///
/// # Safety
///
/// It is at a safepoint or at another access to memory: its stack pointer is where its frame ends, and there is room below.
unsafe fn call(context: &mut libc::ucontext_t, page: &Page) -> Called {
    let vectors = context.uc_mcontext.fpregs.cast::<u8>();
    if vectors.is_null() {
        return Called::NoRoom;
    }
    let mut kept = Kept {
        general: context.uc_mcontext.gregs,
        vectors: [0; VECTORS],
    };
    // SAFETY: the kernel has written at least FXSAVE's 512 bytes there.
    unsafe { ptr::copy_nonoverlapping(vectors, kept.vectors.as_mut_ptr(), VECTORS) };
    let stack = *register(context, libc::REG_RSP) as usize;
    // A multiple of 16, as compiled code keeps it where it calls.
    let at = (stack - size_of::<Kept>()) & !15;
    let returns_to = at - size_of::<i64>();
    page.frames.forget_below(stack);
    if !page.frames.push(at) {
        return Called::NoRoom;
    }
    // SAFETY: below what is in use of a stack whose last MiB no compiled code uses (the engine's
    // `HOST_STACK`); `at` is aligned.
    unsafe {
        ptr::write(at as *mut Kept, kept);
        ptr::write(returns_to as *mut i64, *register(context, libc::REG_RIP));
    }
    *register(context, libc::REG_RSP) = returns_to as i64;
    *register(context, libc::REG_RIP) = page.stop as i64;
    *register(context, libc::REG_RDI) = page.context as i64;
    *register(context, libc::REG_RSI) = page.context as i64;
    Called::Yes
}

/// Whether interrupted code calls the stop now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Called {
    Yes,
    /// Nothing was changed.
    NoRoom,
}

/// Puts the registers back that [`call`] kept.
///
/// # Safety
///
/// The interrupted code is the stop's, at its end.
unsafe fn come_back(context: &mut libc::ucontext_t, page: &Page) -> bool {
    let stack = *register(context, libc::REG_RSP) as usize;
    // Above the frame pointer that the stop has pushed, and the address that it was to return to.
    let at = (*register(context, libc::REG_RBP) as usize).wrapping_add(2 * size_of::<i64>());
    let vectors = context.uc_mcontext.fpregs.cast::<u8>();
    page.frames.forget_below(stack);
    if vectors.is_null() || !page.frames.pop(at) {
        return false;
    }
    // SAFETY: `call` has written it there, and frames below do not reach it.
    let kept = unsafe { &*(at as *const Kept) };
    context.uc_mcontext.gregs = kept.general;
    // SAFETY: FXSAVE's 512 bytes are there, and more where the kernel says so.
    unsafe {
        ptr::copy_nonoverlapping(kept.vectors.as_ptr(), vectors, VECTORS);
        let (offset, magic) = EXTENDED;
        if ptr::read_unaligned(vectors.add(offset).cast::<u32>()) == magic {
            let (offset, bits) = STATES;
            let states = vectors.add(offset).cast::<u64>();
            ptr::write_unaligned(states, ptr::read_unaligned(states) | bits);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::{arch::global_asm, cell::Cell, mem::MaybeUninit};

    use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};

    use super::{super::inbox::Inbox, *};

    // What compiled code does, with all registers in use. vkernel_test_safepoint(page, out): fills the registers,
    // comes to its safepoint, and writes them to `out`. vkernel_test_stop: what the engine puts into a module, but it spoils
    // all registers.
    global_asm!(
        ".pushsection .text.vkernel_test_safepoint,\"ax\",@progbits",
        ".globl vkernel_test_safepoint",
        "vkernel_test_safepoint:",
        "push rbp",
        "mov rbp, rsp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rsi",
        "mov rax, rdi",
        ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
        "mov ecx, 100 + \\n",
        "movq xmm\\n, rcx",
        "pshufd xmm\\n, xmm\\n, 0x44",
        ".endr",
        "mov ebx, 1",
        "mov ecx, 2",
        "mov edx, 3",
        "mov esi, 4",
        "mov edi, 5",
        ".irp n,8,9,10,11,12,13,14,15",
        "mov r\\n, \\n",
        ".endr",
        "cmp ecx, 3", // The carry is set.
        "movzx eax, byte ptr [rax]",
        "mov rax, [rsp]",
        "mov [rax + 256], rbx",
        "mov [rax + 264], rcx",
        "mov [rax + 272], rdx",
        "mov [rax + 280], rsi",
        "mov [rax + 288], rdi",
        ".irp n,8,9,10,11,12,13,14,15",
        "mov [rax + 232 + 8 * \\n], r\\n",
        ".endr",
        "setc byte ptr [rax + 360]",
        ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
        "movdqu [rax + 16 * \\n], xmm\\n",
        ".endr",
        "pop rsi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
        ".globl vkernel_test_stop",
        "vkernel_test_stop:",
        "push rbp",
        "mov rbp, rsp",
        "push rdi",
        "push rsi",
        "call {stopped}",
        ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
        "pcmpeqd xmm\\n, xmm\\n",
        ".endr",
        ".irp n,8,9,10,11,12,13,14,15",
        "mov r\\n, -1",
        ".endr",
        "mov rbx, -1",
        "mov rcx, -1",
        "mov rdx, -1",
        "mov rdi, -1",
        "mov rsi, -1",
        "movzx eax, byte ptr [rax]",
        "ud2",
        ".globl vkernel_test_end",
        "vkernel_test_end:",
        ".popsection",
        stopped = sym stopped,
    );

    unsafe extern "C" {
        fn vkernel_test_safepoint(page: *const u8, out: *mut [u64; 46]);
        fn vkernel_test_stop();
        static vkernel_test_end: u8;
    }

    thread_local! {
        static HERE: Cell<(*const Inbox, usize, u32)> = const { Cell::new((ptr::null(), 0, 0)) };
    }

    /// Opens the page, counts, and gives the address of the page that is never accessible. Called
    /// with a stack as the calling convention wants it: it stores a vector there.
    extern "C" fn stopped(context: usize, same: usize) -> usize {
        let aligned = MaybeUninit::<Kept>::uninit();
        assert_eq!(std::hint::black_box(&raw const aligned) as usize % 16, 0);
        let (inbox, page, count) = HERE.get();
        HERE.set((inbox, page, count + 1));
        assert_eq!((context, same), (7, 7));
        // SAFETY: the test's, which waits for this.
        unsafe { (*inbox).pass_safepoints() };
        page + PAGE as usize
    }

    #[test]
    fn a_safepoint_that_faults_is_a_call_that_leaves_all_registers() {
        std::thread::spawn(|| {
            crate::linux::install_fault_handlers().unwrap();
            let (inbox, mut word) = (Inbox::default(), AtomicU32::new(0));
            // SAFETY: a stack for handlers, two pages of the test's own, and what safepoints look at: all
            // stay until the thread ends. The functions are written for each other.
            unsafe {
                let (private, all) = (MapFlags::PRIVATE, ProtFlags::READ | ProtFlags::WRITE);
                let stack = libc::stack_t {
                    ss_sp: mmap_anonymous(ptr::null_mut(), 1 << 18, all, private).unwrap(),
                    ss_flags: 0,
                    ss_size: 1 << 18,
                };
                assert_eq!(libc::sigaltstack(&raw const stack, ptr::null_mut()), 0);
                let none = ProtFlags::empty();
                let at = mmap_anonymous(ptr::null_mut(), 8192, none, private).unwrap();
                mprotect(at, 4096, MprotectFlags::READ).unwrap();
                let at = NonNull::new(at.cast::<u8>()).unwrap();
                let begin = vkernel_test_safepoint as *const () as usize;
                let text = begin..(&raw const vkernel_test_end) as usize;
                let page = Page::new(at, vkernel_test_stop as *const () as usize, 7, vec![text]);
                inbox.enter(Safepoint::new(NonNull::from(&mut word), Some(page)));
                HERE.set((&raw const inbox, at.as_ptr() as usize, 0));
                for (closed, stops) in [(false, 0), (true, 1), (false, 1), (true, 2)] {
                    if closed {
                        inbox.call_at_safepoint();
                    }
                    let mut out = [0; 46];
                    vkernel_test_safepoint(at.as_ptr(), &raw mut out);
                    let mut expected = [0; 46];
                    for n in 0..16 {
                        expected[2 * n] = 100 + n as u64;
                        expected[2 * n + 1] = 100 + n as u64;
                    }
                    for (to, value) in expected[32..].iter_mut().zip([1, 2, 3, 4, 5]) {
                        *to = value;
                    }
                    for n in 8..16 {
                        expected[29 + n] = n as u64;
                    }
                    expected[45] = 1;
                    assert_eq!(out, expected);
                    assert_eq!(HERE.get().2, stops);
                }
            }
            Inbox::leave();
        })
        .join()
        .unwrap();
    }

    #[test]
    fn what_only_claims_to_be_a_fault_changes_nothing() {
        let begin = vkernel_test_safepoint as *const () as usize;
        let end = (&raw const vkernel_test_end) as usize;
        // SAFETY: read as bytes; it is this test's code.
        let code = unsafe { std::slice::from_raw_parts(begin as *const u8, end - begin) };
        let loads: Vec<usize> = code
            .windows(3)
            .enumerate()
            .filter(|(_, bytes)| *bytes == [0x0f, 0xb6, 0x00])
            .map(|(at, _)| begin + at)
            .collect();
        let [safepoint, last] = loads[..] else {
            panic!()
        };
        let (at, mut word) = (0x1000_0000_usize, AtomicU32::new(0));
        let make = |text| {
            // SAFETY: nothing is done with the page but to compare its address.
            let page =
                unsafe { Page::new(NonNull::new(at as *mut u8).unwrap(), 0x99, 7, vec![text]) };
            page.closed.store(true, Ordering::Relaxed);
            page
        };
        // SAFETY: as above; the word stays.
        let mut safepoint_of =
            |page: Page| unsafe { Safepoint::new(NonNull::from(&mut word), Some(page)) };
        let ours = safepoint_of(make(begin..end));
        let others = safepoint_of(make(1..2));
        let open = make(begin..end);
        open.closed.store(false, Ordering::Relaxed);
        let open = safepoint_of(open);
        let mut stack = [0_u64; 512];
        let middle = stack[256..].as_mut_ptr() as i64;
        let (first, second) = (at as i64, at as i64 + PAGE as i64);
        // Which safepoint looks, where the thread is, what it loads from, and whether that is a fault of a
        // safepoint's. At the stop's end it is one only if there is a frame.
        for (safepoint, place, from, expected) in [
            (&others, safepoint, first, false),
            (&others, last, second, false),
            (&open, safepoint, first, false),
            (&ours, safepoint + 1, first, false),
            (&ours, begin, first, false),
            (&ours, end, first, false),
            (&ours, 0, first, false),
            (&ours, safepoint, first + 1, false),
            (&ours, safepoint, 0, false),
            (&ours, last, second, false),
            (&ours, safepoint, second, false),
            (&ours, safepoint, first, true),
            (&ours, last, second + 1, false),
        ] {
            // SAFETY: a plain C structure for which zeroes are valid.
            let mut context: libc::ucontext_t = unsafe { std::mem::zeroed() };
            let mut vectors = [0_u64; 128];
            context.uc_mcontext.fpregs = vectors.as_mut_ptr().cast();
            *register(&mut context, libc::REG_RIP) = place as i64;
            *register(&mut context, libc::REG_RAX) = from;
            *register(&mut context, libc::REG_RSP) = middle;
            // A frame of the guest's choice.
            *register(&mut context, libc::REG_RBP) = middle;
            let before = context.uc_mcontext.gregs;
            // SAFETY: the stack is the test's.
            assert_eq!(unsafe { safepoint.fault(&mut context) }, expected);
            assert_eq!(context.uc_mcontext.gregs == before, !expected);
        }
        // With a frame, but another place than the one that is given.
        let page = ours.page.as_ref().unwrap();
        assert!(page.frames.last().is_some());
        // SAFETY: as above.
        let mut context: libc::ucontext_t = unsafe { std::mem::zeroed() };
        let mut vectors = [0_u64; 128];
        context.uc_mcontext.fpregs = vectors.as_mut_ptr().cast();
        *register(&mut context, libc::REG_RIP) = last as i64;
        *register(&mut context, libc::REG_RAX) = second;
        *register(&mut context, libc::REG_RBP) = middle;
        // SAFETY: as above.
        assert!(!unsafe { ours.fault(&mut context) });
    }

    #[test]
    fn frames_end_where_a_handler_left_them_and_are_limited() {
        let page = {
            // SAFETY: never used as a page.
            unsafe { Page::new(NonNull::dangling(), 0, 0, Vec::new()) }
        };
        let frames = &page.frames;
        for at in (0..DEEPEST).map(|n| 100_000 - 8 * n) {
            assert!(frames.push(at));
        }
        assert!(!frames.push(1));
        assert!(!frames.pop(100_000));
        frames.forget_below(99_990);
        assert!(frames.pop(99_992) && frames.pop(100_000) && !frames.pop(100_000));
    }
}
