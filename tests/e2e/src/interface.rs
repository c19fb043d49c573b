//! Guests that import every call of the interface, made from its table.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use megabinary_format::{Index, PT_VKERNEL, Tail, Target};
use megabinary_linker::{Keys, elf, portable};
use vkernel_abi::{
    personality::Type,
    wali::{Param, SYSCALLS},
};

use crate::{linux::vkcc, polybuild, run, workspace};

/// The type of a parameter in C.
pub fn c_type(param: Param) -> &'static str {
    match (param.ty(), param.is_signed()) {
        (Type::I64, _) => "long long",
        (Type::I32, true) => "int",
        (Type::I32, false) => "unsigned",
    }
}

/// `calls.h`: an import of each call, and `make(index, arguments)`.
fn header() -> String {
    let (mut imports, mut cases) = (String::new(), String::new());
    for (at, call) in SYSCALLS.iter().enumerate() {
        let types: Vec<&str> = call.params.iter().map(|param| c_type(*param)).collect();
        let parameters = match types.is_empty() {
            true => "void".to_owned(),
            false => types.join(", "),
        };
        let arguments: Vec<String> = types
            .iter()
            .enumerate()
            .map(|(i, kind)| format!("({kind})a[{i}]"))
            .collect();
        writeln!(
            imports,
            "__attribute__((__import_module__(\"wali\"), __import_name__(\"SYS_{name}\"))) \
             long long call_{name}({parameters});",
            name = call.name
        )
        .unwrap();
        writeln!(
            cases,
            "\tcase {at}: return call_{}({});",
            call.name,
            arguments.join(", ")
        )
        .unwrap();
    }
    format!(
        "{imports}\nstatic long long make(int index, const int64_t *a)\n{{\n\tswitch (index) \
         {{\n{cases}\t}}\n\treturn -38;\n}}\n"
    )
}

/// The root of an image with a program of `guests/linux` as its only one, `/bin/guest`, and folders
/// and files to be guarded: `/hd` and `/ro`. The image itself stays in `folder/image`.
pub fn root(folder: &Path, program: &str, threads: bool, policy: &str) -> PathBuf {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("calls.h"), header()).unwrap();
    let mut command = vkcc();
    command
        .args(["-std=gnu17", "-O1", "-w"])
        .args(threads.then_some("-pthread"))
        .arg("-I")
        .arg(folder)
        .arg("-o")
        .arg(folder.join("guest.wasm"))
        .arg(workspace().join(format!("tests/e2e/guests/linux/{program}.c")));
    let said = run(&mut command);
    assert_eq!(said.status, 0, "{}", said.stderr);
    fs::write(
        folder.join("recipe.toml"),
        format!(
            "[recipe]\nname = \"guest\"\nversion = \"1\"\nkind = \"app\"\n\
             [[module]]\nname = \"guest\"\nfile = \"path:guest.wasm\"\n\
             [[program]]\nname = \"guest\"\nmodule = \"guest\"\npaths = [\"/bin/guest\"]\n\
             [image]\nname = \"test/guest\"\ntag = \"1\"\n[policy]\n{policy}"
        ),
    )
    .unwrap();
    let (image, root) = (folder.join("image"), folder.join("root"));
    for command in [
        polybuild()
            .arg("--quiet")
            .arg(folder.join("recipe.toml"))
            .arg("-o")
            .arg(&image),
        polybuild()
            .args(["export", "--quiet", "--format", "rootfs", "-o"])
            .arg(&root)
            .arg(&image),
    ] {
        let said = run(command);
        assert_eq!(said.status, 0, "{}", said.stderr);
    }
    for name in ["proc", "dev", "w", "tmp", "etc", "sys", "ro/d", "hd"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0::/:\n").unwrap();
    fs::write(root.join("ro/f"), "read only").unwrap();
    fs::write(root.join("hd/f"), "hidden").unwrap();
    root
}

/// Gives the root that [`root`] made in a folder another launcher, and a signature of another key.
pub fn repack(folder: &Path, launcher: &[u8]) {
    let file = folder.join("root/.vkernel/megabinary");
    let shipped = fs::read(&file).unwrap();
    let index = Index::decode(Tail::decode(tail(&shipped)).unwrap().index).unwrap();
    let portable = fs::read(folder.join("image/megabinary.wasm")).unwrap();
    let megabinary = portable::read(&portable).unwrap().megabinary;
    let code: Vec<Vec<u8>> = index
        .modules
        .iter()
        .map(|module| {
            let range = module.code.unwrap();
            shipped[range.offset as usize..][..range.len as usize].to_vec()
        })
        .collect();
    let keys = Keys::generate().unwrap();
    let packed = elf::pack(&megabinary, Target::X86_64, launcher, &code, &keys).unwrap();
    fs::write(&file, packed.bytes()).unwrap();
}

/// What the private program header covers (elf(5)).
fn tail(file: &[u8]) -> &[u8] {
    let word = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap()) as usize;
    let (table, count) = (word(32), word(56) & 0xffff);
    let header = (0..count)
        .map(|i| table + i * 56)
        .find(|at| word(*at) as u32 == PT_VKERNEL)
        .unwrap();
    &file[word(header + 8)..][..word(header + 32)]
}
