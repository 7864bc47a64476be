//! Components made from WIT text.

#![allow(clippy::unwrap_used, clippy::panic)]

use purefold_wit::component::componentize;
use purefold_wit::standard;
use wit_component::{StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

/// The component of the only world of the package `wit`.
pub(super) fn component(wit: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_str("reducer.wit", standard::WIT).unwrap();
    let package = resolve.push_str("test.wit", wit).unwrap_or_else(|error| panic!("{error:#}"));
    let world = resolve.select_world(&[package], None).unwrap();
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    componentize(&module).unwrap()
}

/// Parcels: packed by a shop, scanned on their way, priced over HTTP, noted in a table.
pub(super) const PARCELS: &str = include_str!("parcels.wit");
