//! How a caller hears of long work.

/// Receives news of fetches. Methods may be called from several threads.
pub trait Progress: Sync {
    /// `done` bytes of a source have arrived, of `total` if that is known. The first call for a
    /// source has `done == 0`.
    fn bytes(&self, id: &str, done: u64, total: Option<u64>);

    /// A source is there; `cached` if nothing had to be fetched.
    fn finished(&self, id: &str, size: u64, cached: bool);

    /// Something that the user should know and that does not end the work.
    fn warning(&self, id: &str, message: &str);
}

/// Says nothing.
impl Progress for () {
    fn bytes(&self, _: &str, _: u64, _: Option<u64>) {}
    fn finished(&self, _: &str, _: u64, _: bool) {}
    fn warning(&self, _: &str, _: &str) {}
}
