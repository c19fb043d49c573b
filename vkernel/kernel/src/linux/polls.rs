//! Polls: how a signal gets hold of a thread that computes.
//!
//! Compiled code has polls in its loops (the engine puts them there), of two kinds. Some load a
//! *word* and call the engine if it is not zero. Others, of which there are more, load a byte of a
//! *page* and do nothing with it: a signal's host handler makes that page inaccessible, and the next
//! poll faults. The handler of that fault makes it look as if the code had called a function of its
//! own module, the *stop*, at that very instruction. The stack then, from higher addresses to lower:
//!
//! ```text
//! the interrupted function's frame
//! its registers                        [`Kept`]
//! the address of the poll              where the stop would return to
//! the interrupted frame pointer        what the stop's frame pointer points to
//! the stop's frame
//! ```
//!
//! The stop calls the engine, which opens the page and calls the guest's handlers. Then it loads a
//! byte of the page behind, which is never accessible: the handler of that fault puts the registers
//! back, and the poll is made again. Who walks the stack, frame pointer by frame pointer, sees a call
//! like any other; a handler that jumps out leaves these frames behind as it does the rest.
//!
//! Invariants: what is kept lies where the guest cannot write; handlers of signals run on stacks of
//! their own, for below the interrupted frame the handler writes; polls on a page are only where
//! frames are complete and no register has what a garbage collector would have to find (the engine
//! sees to all this: `engine/polls`, `engine/alternate_stack`).
#![allow(unsafe_code)]

use std::{
    ptr::{self, NonNull},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use super::{host, space::PAGE};

/// What the computations of one thread look at.
pub struct Poll {
    word: NonNull<AtomicU32>,
    page: Option<Page>,
}

/// A page that polls load from, and what happens where one of them faults.
pub struct Page {
    /// The page, and one behind it that is never accessible.
    at: NonNull<u8>,
    /// Whether the page may be inaccessible.
    closed: AtomicBool,
    /// The stop's code.
    stop: usize,
    /// Its first two arguments: the context of the module's instance, twice.
    context: usize,
}

/// Registers of interrupted code.
#[repr(C, align(16))]
struct Kept {
    general: [i64; GENERAL],
    /// Says that this is one.
    mark: u64,
    vectors: [u8; VECTORS],
}

/// Registers in `gregs` of a `ucontext_t` (`NGREG`).
const GENERAL: usize = 23;

/// The part of the registers in `fpregs` that FXSAVE writes, without what is the kernel's own use
/// (Intel SDM 1, 10.5.1; Linux, `asm/sigcontext.h`): vector registers of 128 bits and their control.
const VECTORS: usize = 464;

/// Offset in `fpregs` of FP_XSTATE_MAGIC1, if more follows what FXSAVE writes.
const EXTENDED: (usize, u32) = (464, 0x4650_5853);

/// Offset in `fpregs` of the bits that say which registers are not as they were at the beginning,
/// and those of x87 and of the vectors.
const STATES: (usize, u64) = (512, 0b11);

const MARK: u64 = u64::from_le_bytes(*b"vkpolled");

impl Page {
    /// At `at` are two pages: the one that polls load from, which is readable, and one that is never
    /// accessible.
    ///
    /// # Safety
    ///
    /// Both pages stay as long as the [`super::signals::Inbox`] that this goes into is a thread's, and
    /// the first one is a mapping of its own whatever its protection. Only compiled code loads the
    /// first bytes of the two: polls, and the stop at its end. `stop` is the code of a compiled
    /// function without parameters that takes `context` in `rdi` and `rsi`, has a frame pointer, and
    /// does what is said above.
    pub unsafe fn new(at: NonNull<u8>, stop: usize, context: usize) -> Page {
        Page {
            at,
            closed: AtomicBool::new(false),
            stop,
            context,
        }
    }

    fn protect(&self, protection: i32) {
        let args = [self.at.as_ptr() as u64, PAGE, protection as u64, 0, 0, 0];
        // SAFETY: the page is polls' alone (`new`). It cannot fail: no mapping is split.
        unsafe { host::call(libc::SYS_mprotect, &args) };
    }

    /// Makes polls fault.
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

impl Poll {
    /// Polls look at `word`, and those that do not at `page`.
    ///
    /// # Safety
    ///
    /// The word stays as long as the [`super::signals::Inbox`] that this goes into is a thread's.
    pub unsafe fn new(word: NonNull<AtomicU32>, page: Option<Page>) -> Poll {
        Poll { word, page }
    }

    /// Makes polls call the engine.
    pub(super) fn close(&self) {
        // SAFETY: it is there (`new`), and only ever used as an atomic.
        unsafe { self.word.as_ref() }.store(1, Ordering::Relaxed);
        if let Some(page) = &self.page {
            page.close();
        }
    }

    /// Makes them go on. Who calls this looks for signals afterwards.
    pub(super) fn open(&self) {
        // SAFETY: as in `close`.
        unsafe { self.word.as_ref() }.store(0, Ordering::Relaxed);
        if let Some(page) = &self.page {
            page.open();
        }
    }

    /// Sees to a fault at `address`, in the handler of the signal; whether it was a poll's.
    ///
    /// # Safety
    ///
    /// `context` is what the kernel gave the handler, and the interrupted thread's computations look
    /// at this.
    pub(super) unsafe fn fault(&self, address: usize, context: &mut libc::ucontext_t) -> bool {
        let Some(page) = &self.page else {
            return false;
        };
        let first = page.at.as_ptr() as usize;
        // SAFETY: only polls load the first byte of the one page, and only the stop that of the
        // other (`Page::new`).
        unsafe {
            if address == first {
                call(context, page)
            } else if address == first + PAGE as usize {
                come_back(context)
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
/// It is at a poll: its stack pointer is where its frame ends, and there is room below.
unsafe fn call(context: &mut libc::ucontext_t, page: &Page) -> bool {
    let vectors = context.uc_mcontext.fpregs.cast::<u8>();
    if vectors.is_null() {
        return false;
    }
    let mut kept = Kept {
        general: context.uc_mcontext.gregs,
        mark: MARK,
        vectors: [0; VECTORS],
    };
    // SAFETY: the kernel has written at least FXSAVE's 512 bytes there.
    unsafe { ptr::copy_nonoverlapping(vectors, kept.vectors.as_mut_ptr(), VECTORS) };
    let stack = *register(context, libc::REG_RSP) as usize;
    // A multiple of 16, as compiled code keeps it where it calls.
    let at = (stack - size_of::<Kept>()) & !15;
    let returns_to = at - size_of::<i64>();
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
    true
}

/// Puts the registers back that [`call`] kept.
///
/// # Safety
///
/// The interrupted code is the stop's, at its end.
unsafe fn come_back(context: &mut libc::ucontext_t) -> bool {
    // Above the frame pointer that the stop has pushed, and the address that it was to return to.
    let at = *register(context, libc::REG_RBP) as usize + 2 * size_of::<i64>();
    let vectors = context.uc_mcontext.fpregs.cast::<u8>();
    // SAFETY: `call` has written it there, and frames below do not reach it.
    let kept = unsafe { &*(at as *const Kept) };
    if kept.mark != MARK || vectors.is_null() {
        return false;
    }
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

    use super::{super::signals::Inbox, *};

    // What compiled code does, with all registers in use. vkernel_test_poll(page, out): fills the registers,
    // polls, and writes them to `out`. vkernel_test_stop: what the engine puts into a module, but it spoils
    // all registers.
    global_asm!(
        ".pushsection .text.vkernel_test_poll,\"ax\",@progbits",
        ".globl vkernel_test_poll",
        "vkernel_test_poll:",
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
        "mov al, byte ptr [rax]",
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
        "mov al, byte ptr [rax]",
        "ud2",
        ".popsection",
        stopped = sym stopped,
    );

    unsafe extern "C" {
        fn vkernel_test_poll(page: *const u8, out: *mut [u64; 46]);
        fn vkernel_test_stop();
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
        unsafe { (*inbox).pass_polls() };
        page + PAGE as usize
    }

    #[test]
    fn a_poll_that_faults_is_a_call_that_leaves_all_registers() {
        std::thread::spawn(|| {
            super::super::install_fault_handlers().unwrap();
            let (inbox, mut word) = (Inbox::default(), AtomicU32::new(0));
            // SAFETY: a stack for handlers, two pages of the test's own, and what polls look at: all
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
                let page = Page::new(at, vkernel_test_stop as *const () as usize, 7);
                inbox.enter(Poll::new(NonNull::from(&mut word), Some(page)));
                HERE.set((&raw const inbox, at.as_ptr() as usize, 0));
                for (closed, stops) in [(false, 0), (true, 1), (false, 1), (true, 2)] {
                    if closed {
                        inbox.call_at_poll();
                    }
                    let mut out = [0; 46];
                    vkernel_test_poll(at.as_ptr(), &raw mut out);
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
}
