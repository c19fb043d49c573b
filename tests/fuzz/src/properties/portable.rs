//! The portable form: what is read is what would be written, and public tools take it too.

use megabinary_linker::{peek, portable as format, verify::verify_portable};
use wasmparser::{Validator, WasmFeatures};

use super::resign;
use crate::seeds::keys;

/// Bytes that read as a portable megabinary are what writing it gives; they are a valid component
/// for WebAssembly's own validator; `peek` and `verify` agree with `read`. Damaged bytes are tried
/// twice, as they are and with digests and signature mended, so that all of the reader is reached.
pub fn portable(data: &[u8]) {
    check(data);
    if let Some(mended) = resign::portable(data) {
        check(&mended);
    }
}

fn check(data: &[u8]) {
    let peeked = peek(data);
    let trusted = [keys().public_key()];
    let read = format::read(data);
    let verified = verify_portable(data, &trusted);
    let Ok(read) = read else {
        assert!(verified.is_err());
        return;
    };
    let (index, signature) = peeked.expect("`peek` refuses what `read` takes");
    assert_eq!((&index, &signature), (&read.index, &read.signature));
    Validator::new_with_features(WasmFeatures::all())
        .validate_all(data)
        .expect("not a valid component");
    assert_eq!(
        verified.map(|r| r.index).ok(),
        (signature.public_key == trusted[0]).then_some(index)
    );
    if signature.public_key == trusted[0] {
        let again = format::write(&read.megabinary, keys());
        let read_again = format::read(&again).expect("what was written does not read");
        assert_eq!(read_again.index, read.index);
        assert_eq!(read_again.megabinary, read.megabinary);
    }
}
