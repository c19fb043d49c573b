//! Addresses of C variables and offsets of C struct members, from DWARF.
//!
//! Tools that rewrite code after linking leave `DW_AT_low_pc` dead, but the addresses of data and
//! the layout of types stay true. `_PyRuntime.gc.enabled` names a variable and the way into it.
//! Arrays and pointers are not followed: the result must be a constant.

use gimli::{AttributeValue, UnitOffset};

use crate::symbols::{SymbolError, Symbols};

type Slice<'a> = gimli::EndianSlice<'a, gimli::LittleEndian>;
type Unit<'u, 'a> = gimli::UnitRef<'u, Slice<'a>>;

/// Why an address or offset could not be found.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The debug information cannot be read.
    #[error(transparent)]
    Symbol(#[from] SymbolError),
    /// No such variable or type.
    #[error("DWARF has no {kind} named `{name}`")]
    Missing {
        /// `variable` or `type`.
        kind: &'static str,
        /// The name that was asked for.
        name: String,
    },
    /// No such member.
    #[error("`{path}`: no member `{member}` in the type there")]
    Member {
        /// The whole path.
        path: String,
        /// The member that is missing.
        member: String,
    },
}

impl From<gimli::Error> for LayoutError {
    fn from(error: gimli::Error) -> Self {
        Self::Symbol(error.into())
    }
}

/// The address of a variable, or of a member of it: `variable.member.member`.
pub(super) fn address(symbols: &Symbols<'_>, path: &str) -> Result<u32, LayoutError> {
    walk(symbols, path, true)
}

/// The offset of a member in a struct: `type.member.member`; the type is a tag or a typedef.
pub(super) fn offset(symbols: &Symbols<'_>, path: &str) -> Result<u32, LayoutError> {
    walk(symbols, path, false)
}

fn walk(symbols: &Symbols<'_>, path: &str, variable: bool) -> Result<u32, LayoutError> {
    let (base, members) = match path.split_once('.') {
        Some((base, members)) => (base, Some(members)),
        None => (path, None),
    };
    let dwarf = symbols.dwarf()?;
    let mut units = dwarf.units();
    while let Some(header) = units.next()? {
        let unit = dwarf.unit(header)?;
        let unit = unit.unit_ref(&dwarf);
        let mut entries = unit.entries();
        while let Some(entry) = entries.next_dfs()? {
            let (start, ty) = match entry.tag() {
                gimli::DW_TAG_variable if variable => {
                    let Some(AttributeValue::Exprloc(location)) =
                        entry.attr_value(gimli::DW_AT_location)
                    else {
                        continue;
                    };
                    if !named(&unit, entry, base)? {
                        continue;
                    }
                    let Some(address) = fixed_address(&unit, location)? else {
                        continue;
                    };
                    (address, type_of(entry))
                }
                gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type if !variable => {
                    // A declaration has no members; the definition is in some other unit.
                    if entry.attr_value(gimli::DW_AT_declaration).is_some()
                        || !named(&unit, entry, base)?
                    {
                        continue;
                    }
                    (0, Some(entry.offset()))
                }
                gimli::DW_TAG_typedef if !variable => {
                    if !named(&unit, entry, base)? {
                        continue;
                    }
                    match strip(&unit, type_of(entry))? {
                        Some(ty) => (0, Some(ty)),
                        None => continue,
                    }
                }
                _ => continue,
            };
            let Some(members) = members else {
                return Ok(start);
            };
            return descend(&unit, start, ty, members).map_err(|error| match error {
                LayoutError::Member { member, .. } => LayoutError::Member {
                    path: path.to_owned(),
                    member,
                },
                other => other,
            });
        }
    }
    Err(LayoutError::Missing {
        kind: if variable { "variable" } else { "type" },
        name: base.to_owned(),
    })
}

fn descend(
    unit: &Unit<'_, '_>,
    start: u32,
    ty: Option<UnitOffset>,
    members: &str,
) -> Result<u32, LayoutError> {
    let mut at = start;
    let mut ty = ty;
    for member in members.split('.') {
        let missing = || LayoutError::Member {
            path: String::new(),
            member: member.to_owned(),
        };
        let inside = strip(unit, ty)?.ok_or_else(missing)?;
        let (offset, next) = find_member(unit, inside, member)?.ok_or_else(missing)?;
        at = at.wrapping_add(offset);
        ty = next;
    }
    Ok(at)
}

type Found = Option<(u32, Option<UnitOffset>)>;

/// A direct member, or one of an anonymous struct or union inside.
fn find_member(unit: &Unit<'_, '_>, ty: UnitOffset, name: &str) -> Result<Found, LayoutError> {
    let mut anonymous = Vec::new();
    let mut tree = unit.entries_tree(Some(ty))?;
    let mut children = tree.root()?.children();
    while let Some(child) = children.next()? {
        let entry = child.entry();
        if entry.tag() != gimli::DW_TAG_member {
            continue;
        }
        let offset = entry
            .attr_value(gimli::DW_AT_data_member_location)
            .and_then(|v| v.udata_value())
            .and_then(|v| u32::try_from(v).ok())
            .unwrap_or(0);
        if entry.attr_value(gimli::DW_AT_name).is_none() {
            anonymous.push((offset, type_of(entry)));
        } else if named(unit, entry, name)? {
            return Ok(Some((offset, type_of(entry))));
        }
    }
    for (offset, ty) in anonymous {
        if let Some(inner) = strip(unit, ty)? {
            // Nesting of anonymous members is bounded by the unit's own size: a type cannot
            // contain itself.
            if let Some((further, found)) = find_member(unit, inner, name)? {
                return Ok(Some((offset.wrapping_add(further), found)));
            }
        }
    }
    Ok(None)
}

/// The struct or union behind typedefs and qualifiers; bounded against cyclic input.
fn strip(unit: &Unit<'_, '_>, ty: Option<UnitOffset>) -> Result<Option<UnitOffset>, LayoutError> {
    let mut ty = ty;
    for _ in 0..32 {
        let Some(offset) = ty else { return Ok(None) };
        let entry = unit.entry(offset)?;
        match entry.tag() {
            gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type => {
                let declared = entry.attr_value(gimli::DW_AT_declaration).is_some();
                return Ok((!declared).then_some(offset));
            }
            gimli::DW_TAG_typedef
            | gimli::DW_TAG_const_type
            | gimli::DW_TAG_volatile_type
            | gimli::DW_TAG_atomic_type => ty = type_of(&entry),
            _ => return Ok(None),
        }
    }
    Ok(None)
}

fn type_of(entry: &gimli::DebuggingInformationEntry<Slice<'_>>) -> Option<UnitOffset> {
    match entry.attr_value(gimli::DW_AT_type) {
        Some(AttributeValue::UnitRef(offset)) => Some(offset),
        _ => None,
    }
}

fn named<'a>(
    unit: &Unit<'_, 'a>,
    entry: &gimli::DebuggingInformationEntry<Slice<'a>>,
    name: &str,
) -> Result<bool, LayoutError> {
    match entry.attr_value(gimli::DW_AT_name) {
        Some(value) => Ok(unit.attr_string(value)?.slice() == name.as_bytes()),
        None => Ok(false),
    }
}

/// The address of a location that is nothing but `DW_OP_addr`.
fn fixed_address<'a>(
    unit: &Unit<'_, 'a>,
    location: gimli::Expression<Slice<'a>>,
) -> Result<Option<u32>, LayoutError> {
    let mut operations = location.operations(unit.encoding());
    match (operations.next()?, operations.next()?) {
        (Some(gimli::Operation::Address { address }), None) => Ok(u32::try_from(address).ok()),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graft::testdwarf::module;

    fn check(variable: bool, path: &str, expected: Result<u32, &str>) {
        let bytes = module();
        let symbols = Symbols::read(&bytes).unwrap();
        match (walk(&symbols, path, variable), expected) {
            (Ok(got), Ok(wanted)) => assert_eq!(got, wanted, "{path}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{path}: {error}"),
            (got, wanted) => panic!("{path}: got {got:?}, expected {wanted:?}"),
        }
    }

    #[test]
    fn addresses() {
        check(true, "state", Ok(0x1000));
        check(true, "state.first", Ok(0x1004));
        check(true, "state.inner.deep", Ok(0x1018));
        check(true, "state.hidden", Ok(0x1020));
        check(true, "state.second", Err("no member `second`"));
        check(true, "state.first.x", Err("no member `x`"));
        check(true, "extern_only", Err("no variable named `extern_only`"));
    }

    #[test]
    fn offsets() {
        check(false, "state_s.inner.deep", Ok(0x18));
        check(false, "State.inner", Ok(0x10));
        check(false, "state", Err("no type named `state`"));
    }
}
