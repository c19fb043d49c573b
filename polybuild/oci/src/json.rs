//! JSON with one form: members sorted, no white space.
//!
//! `oci-spec` keeps labels and annotations in hash maps, whose order differs from run to run;
//! everything this crate writes goes through here.

use serde::Serialize;

/// Serialises `value` with every object's members sorted by name.
pub(crate) fn canonical(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut value = serde_json::to_value(value)?;
    // Without effect unless some crate of the build asks serde_json to keep insertion order.
    value.sort_all_objects();
    serde_json::to_vec(&value)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    #[test]
    fn members_are_sorted() {
        let map: HashMap<String, u32> = (0..50).map(|i| (format!("k{i:02}"), i)).collect();
        let text = String::from_utf8(super::canonical(&map).unwrap()).unwrap();
        let keys: Vec<_> = text
            .match_indices('k')
            .map(|(i, _)| &text[i..i + 3])
            .collect();
        assert!(keys.is_sorted(), "{text}");
    }
}
