//! What the arguments of a call are that the host answers, and how they become the host's.
//!
//! Kept as bits and not as letters: most system calls come by here, and this is a good part of what
//! the cheap ones cost.

use rustix::io::Errno;

use super::call::{Args, Cx, word};

/// The kinds of a call's arguments.
#[derive(Clone, Copy, Debug)]
pub struct Kinds {
    letters: &'static str,
    /// A bit for each argument, of each kind.
    pointers: u8,
    descriptors: u8,
    folders: u8,
    optional: u8,
}

impl Kinds {
    /// One letter an argument: `v` value, `p` pointer, `f` descriptor, `d` folder or AT_FDCWD, `o`
    /// descriptor or a negative number.
    pub(super) const fn new(letters: &'static str) -> Kinds {
        let mut kinds = Kinds {
            letters,
            pointers: 0,
            descriptors: 0,
            folders: 0,
            optional: 0,
        };
        let bytes = letters.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'p' => kinds.pointers |= 1 << at,
                b'f' => kinds.descriptors |= 1 << at,
                b'd' => kinds.folders |= 1 << at,
                b'o' => kinds.optional |= 1 << at,
                other => assert!(other == b'v', "an argument of no known kind"),
            }
            at += 1;
        }
        kinds
    }

    /// The letters.
    #[cfg(test)]
    pub(super) fn letters(&self) -> &'static str {
        self.letters
    }

    /// Whether an argument is a folder or AT_FDCWD.
    pub(super) fn is_folder(self, at: usize) -> bool {
        self.letters.as_bytes().get(at) == Some(&b'd')
    }

    /// The arguments as the host understands them; EBADF if one names a descriptor that the guest
    /// cannot have.
    pub(super) fn translate(self, cx: &Cx<'_>, args: &Args) -> Result<Args, Errno> {
        let mut host = *args;
        let memory = cx.memory();
        for_each(self.pointers, &mut host, |argument| {
            *argument = memory.address(word(*argument));
            Ok(())
        })?;
        if self.descriptors | self.folders | self.optional != 0 {
            let limit = cx.process.descriptors();
            for_each(self.descriptors, &mut host, |argument| {
                *argument = limit.check(*argument)?;
                Ok(())
            })?;
            for_each(self.folders, &mut host, |argument| {
                *argument = limit.folder(*argument);
                Ok(())
            })?;
            for_each(self.optional, &mut host, |argument| {
                *argument = limit.check_optional(*argument)?;
                Ok(())
            })?;
        }
        Ok(host)
    }
}

/// Changes the arguments whose bits are set.
#[inline(always)]
fn for_each(
    mut bits: u8,
    args: &mut Args,
    mut change: impl FnMut(&mut u64) -> Result<(), Errno>,
) -> Result<(), Errno> {
    while bits != 0 {
        if let Some(argument) = args.get_mut(bits.trailing_zeros() as usize) {
            change(argument)?;
        }
        bits &= bits - 1;
    }
    Ok(())
}
