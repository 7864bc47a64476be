//! Components made of contracts alone: real types around functions that do nothing.

use std::path::Path;

use purefold_wit::component::componentize;
use purefold_wit::standard;
use wit_component::{StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

/// The component of the only world in a file, or in a folder that brings its own packages.
pub(super) fn contract(path: &Path) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let parsed = if path.is_dir() {
        resolve.push_dir(path).map(|(package, _)| package)
    } else {
        resolve.push_str("reducer.wit", standard::WIT).expect("the standard package is one");
        resolve.push_file(path)
    };
    let package = parsed.unwrap_or_else(|error| panic!("{}: {error:#}", path.display()));
    let world = resolve.select_world(&[package], None).expect("there is one world");
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("the world can be described");
    componentize(&module).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
