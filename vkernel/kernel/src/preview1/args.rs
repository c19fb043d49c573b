//! Arguments and environment: `args_*`, `environ_*`.
//!
//! Both are a table of pointers and one block of NUL-terminated strings. Invariant: what `sizes`
//! promises is exactly what `get` writes.

use wiggle::{GuestMemory, GuestPtr};

use super::{errno::Result, types::Errno};

/// Number of strings and size in bytes of the block.
pub(super) fn sizes(strings: &[Vec<u8>]) -> Result<(u32, u32)> {
    let bytes: usize = strings.iter().map(|string| string.len() + 1).sum();
    let count = u32::try_from(strings.len()).map_err(|_| Errno::Overflow)?;
    Ok((count, u32::try_from(bytes).map_err(|_| Errno::Overflow)?))
}

/// Writes the pointers to `table` and the strings to `block`.
pub(super) fn get(
    memory: &mut GuestMemory<'_>,
    strings: &[Vec<u8>],
    mut table: GuestPtr<GuestPtr<u8>>,
    mut block: GuestPtr<u8>,
) -> Result<()> {
    for string in strings {
        memory.write(table, block)?;
        table = table.add(1)?;
        let len = u32::try_from(string.len()).map_err(|_| Errno::Overflow)?;
        memory.copy_from_slice(string, block.as_array(len))?;
        block = block.add(len)?;
        memory.write(block, 0)?;
        block = block.add(1)?;
    }
    Ok(())
}
