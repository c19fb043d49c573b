//! A small module with DWARF, for tests.
//!
//! ```c
//! // lib/one.c
//! typedef struct state_s { int first /* 4 */; struct { int deep /* 8 */; } inner /* 16 */;
//!                          union { int hidden; } /* 32 */; } State;
//! State state;  extern State extern_only;
//! static void twin(void) {}  void only(void) {}  void dropped(void) {}
//! ```

use gimli::constants as dw;
use gimli::write::{
    Address, AttributeValue, DwarfUnit, EndianVec, Expression, Sections, Unit, UnitEntryId,
};
use gimli::{Encoding, Format, LittleEndian};

fn child(unit: &mut Unit, parent: UnitEntryId, tag: gimli::DwTag, name: &str) -> UnitEntryId {
    let id = unit.add(parent, tag);
    if !name.is_empty() {
        let value = AttributeValue::String(name.into());
        unit.get_mut(id).set(dw::DW_AT_name, value);
    }
    id
}

fn member(unit: &mut Unit, parent: UnitEntryId, name: &str, at: u64, ty: UnitEntryId) {
    let id = child(unit, parent, dw::DW_TAG_member, name);
    let entry = unit.get_mut(id);
    entry.set(dw::DW_AT_data_member_location, AttributeValue::Udata(at));
    entry.set(dw::DW_AT_type, AttributeValue::UnitRef(ty));
}

fn function(unit: &mut Unit, name: &str, low: u64) {
    let root = unit.root();
    let id = child(unit, root, dw::DW_TAG_subprogram, name);
    let low = AttributeValue::Address(Address::Constant(low));
    unit.get_mut(id).set(dw::DW_AT_low_pc, low);
}

fn types(unit: &mut Unit) {
    let root = unit.root();
    let int = child(unit, root, dw::DW_TAG_base_type, "int");
    let inner = child(unit, root, dw::DW_TAG_structure_type, "");
    member(unit, inner, "deep", 8, int);
    let union = child(unit, root, dw::DW_TAG_union_type, "");
    member(unit, union, "hidden", 0, int);
    let state = child(unit, root, dw::DW_TAG_structure_type, "state_s");
    member(unit, state, "first", 4, int);
    member(unit, state, "inner", 16, inner);
    member(unit, state, "", 32, union);
    let typedef = child(unit, root, dw::DW_TAG_typedef, "State");
    unit.get_mut(typedef)
        .set(dw::DW_AT_type, AttributeValue::UnitRef(state));
    let outside = child(unit, root, dw::DW_TAG_variable, "extern_only");
    let variable = child(unit, root, dw::DW_TAG_variable, "state");
    for id in [outside, variable] {
        unit.get_mut(id)
            .set(dw::DW_AT_type, AttributeValue::UnitRef(typedef));
    }
    let mut location = Expression::new();
    location.op_addr(Address::Constant(0x1000));
    unit.get_mut(variable)
        .set(dw::DW_AT_location, AttributeValue::Exprloc(location));
}

fn unit(name: &str, build: impl FnOnce(&mut Unit)) -> Vec<(&'static str, Vec<u8>)> {
    let mut dwarf = DwarfUnit::new(Encoding {
        format: Format::Dwarf32,
        version: 4,
        address_size: 4,
    });
    let root = dwarf.unit.root();
    let value = AttributeValue::String(name.into());
    dwarf.unit.get_mut(root).set(dw::DW_AT_name, value);
    build(&mut dwarf.unit);
    let mut sections = Sections::new(EndianVec::new(LittleEndian));
    dwarf.write(&mut sections).unwrap();
    let mut out = Vec::new();
    sections
        .for_each(|id, data| {
            out.push((id.name(), data.slice().to_vec()));
            Ok::<_, gimli::write::Error>(())
        })
        .unwrap();
    out
}

/// The module: functions 0 and 1 are `twin` and `only` of one.c.
pub(crate) fn module() -> Vec<u8> {
    let mut bytes = wat::parse_str("(module (func) (func))").unwrap();
    // Code section: a count byte, then bodies `size 0-locals end` of three bytes each.
    let one = unit("/src/lib/one.c", |unit| {
        types(unit);
        function(unit, "twin", 2);
        function(unit, "only", 5);
        function(unit, "dropped", 0);
    });
    for (name, data) in one {
        let section = wasm_encoder::CustomSection {
            name: name.into(),
            data: data.as_slice().into(),
        };
        wasm_encoder::Section::append_to(&section, &mut bytes);
    }
    bytes
}
