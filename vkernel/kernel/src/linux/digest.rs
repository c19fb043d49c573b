//! SHA-256's compression for guests: processors have instructions for it and WebAssembly has not, so that a
//! guest's own code takes 4.5 times as long.
//!
//! A pure function of the guest's memory. What is worked on is a copy: another thread may change or unmap
//! the original meanwhile, which changes the result and nothing else.

use std::slice;

use rustix::io::Errno;
use sha2_detecting::{compress256, digest::generic_array::GenericArray};
use vkernel_abi::wali::SHA256_MOST_BLOCKS;

use super::guest::Memory;

/// Bytes in a block.
const BLOCK: usize = 64;

/// Bytes that are copied at once, whole blocks.
const CHUNK: usize = 64 * BLOCK;

/// Compresses `blocks` blocks at `data` into the eight words at `state` (FIPS 180-4, 6.2.2).
///
/// EINVAL for more than [`SHA256_MOST_BLOCKS`]; EFAULT where there is no memory. Then the state is as it
/// was.
pub fn sha256_blocks(memory: &Memory, state: u32, data: u32, blocks: u32) -> Result<(), Errno> {
    if blocks > SHA256_MOST_BLOCKS {
        return Err(Errno::INVAL);
    }
    let mut words = [0_u32; 8];
    let start: [u8; 32] = memory.array(state)?;
    for (word, bytes) in words.iter_mut().zip(start.chunks_exact(4)) {
        *word = bytes
            .iter()
            .rev()
            .fold(0, |all, b| all << 8 | u32::from(*b));
    }
    let mut chunk = [0; CHUNK];
    let (mut at, mut left) = (data, blocks as usize * BLOCK);
    while left > 0 {
        let now = &mut chunk[..left.min(CHUNK)];
        memory.read(at, now)?;
        for block in now.chunks_exact(BLOCK) {
            compress256(&mut words, slice::from_ref(GenericArray::from_slice(block)));
        }
        left -= now.len();
        if left > 0 {
            at = at.checked_add(CHUNK as u32).ok_or(Errno::FAULT)?;
        }
    }
    let mut end = [0; 32];
    for (word, bytes) in words.iter().zip(end.chunks_exact_mut(4)) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    memory.write(state, &end)
}

#[cfg(test)]
mod tests {
    use super::{super::memory::guest::tests::memory, *};

    const INITIAL: [u32; 8] = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];

    fn with_state() -> Memory {
        let memory = memory(1 << 17);
        let bytes: Vec<u8> = INITIAL.iter().flat_map(|w| w.to_le_bytes()).collect();
        memory.write(64, &bytes).unwrap();
        memory
    }

    fn state(memory: &Memory) -> Vec<u32> {
        (0..8).map(|i| memory.u32(64 + 4 * i).unwrap()).collect()
    }

    /// The digest of what fills whole blocks, and the padding after it.
    fn digest_of(message: &[u8]) -> Vec<u32> {
        let memory = with_state();
        let mut padded = message.to_vec();
        padded.push(0x80);
        while padded.len() % BLOCK != 56 {
            padded.push(0);
        }
        padded.extend((message.len() as u64 * 8).to_be_bytes());
        memory.write(4096, &padded).unwrap();
        sha256_blocks(&memory, 64, 4096, (padded.len() / BLOCK) as u32).unwrap();
        state(&memory)
    }

    #[test]
    fn is_sha256() {
        use sha2_detecting::{Digest as _, Sha256};

        // FIPS 180-2, B.1.
        assert_eq!(digest_of(b"abc")[..2], [0xba78_16bf, 0x8f01_cfea]);
        for len in [0, 1, 55, 56, 64, 4095, 4096, 4097, 60_000] {
            let message: Vec<u8> = (0..len).map(|i: u32| (i * 7) as u8).collect();
            let expected = Sha256::digest(&message);
            let found: Vec<u8> = digest_of(&message)
                .iter()
                .flat_map(|w| w.to_be_bytes())
                .collect();
            assert_eq!(found, expected[..], "{len}");
        }
    }

    #[test]
    fn what_cannot_be_done_changes_nothing() {
        let memory = with_state();
        for (state_at, data, blocks, errno) in [
            (64, 4096, SHA256_MOST_BLOCKS + 1, Errno::INVAL),
            (64, 4096, u32::MAX, Errno::INVAL),
            (64, 0, 1, Errno::FAULT),
            (0, 4096, 1, Errno::FAULT),
            (64, (1 << 17) - 100, 2, Errno::FAULT),
            (64, u32::MAX - 63, 2, Errno::FAULT),
            (u32::MAX - 3, 4096, 1, Errno::FAULT),
        ] {
            let result = sha256_blocks(&memory, state_at, data, blocks);
            assert_eq!(result, Err(errno), "{state_at} {data} {blocks}");
        }
        assert_eq!(state(&memory), INITIAL);
        sha256_blocks(&memory, 64, 4096, 0).unwrap();
        assert_eq!(state(&memory), INITIAL);
    }
}
