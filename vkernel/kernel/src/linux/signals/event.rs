//! What is to be done when something happens (`sigevent(7)`), as the host wants it.

use super::super::{
    memory::guest::Memory,
    syscall::{Arg, Errno},
};

/// The host's `struct sigevent`.
pub(crate) struct HostEvent([u8; 64]);

impl HostEvent {
    /// The guest's at `pointer`: it begins with a value of 4 bytes, the host's with one of 8.
    pub(crate) fn read(memory: Memory, pointer: u32) -> Result<HostEvent, Errno> {
        let guest: [u8; 16] = memory.array(pointer)?;
        let mut event = [0_u8; 64];
        event[..4].copy_from_slice(&guest[..4]);
        event[8..20].copy_from_slice(&guest[4..16]);
        Ok(HostEvent(event))
    }

    /// `sigev_notify`.
    pub(crate) fn notify(&self) -> i32 {
        let [.., a, b, c, d] = *self.0.first_chunk::<16>().unwrap_or(&[0; 16]);
        i32::from_le_bytes([a, b, c, d])
    }

    /// Its address, for the host.
    pub(crate) fn arg(&self) -> Arg<'_> {
        Arg::input(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_widened_and_the_rest_follows() {
        let memory = crate::linux::memory::guest::tests::memory(4096);
        let words = [7_u32, 10, libc::SIGEV_NONE as u32, 99].map(u32::to_le_bytes);
        memory.write(64, &words.concat()).unwrap();
        let event = HostEvent::read(memory, 64).unwrap();
        assert_eq!(event.notify(), libc::SIGEV_NONE);
        assert_eq!(event.0[..12], [7, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0]);
    }
}
