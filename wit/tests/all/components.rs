//! Components made from WIT text: real contracts around functions that do nothing.

use purefold_wit::{component::componentize, standard};
use wit_component::{StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

/// The core module of the only world of the package `wit`, its types described in a custom section.
pub(crate) fn module(wit: &str) -> Vec<u8> {
    built(wit, ManglingAndAbi::Legacy(LiftLowerAbi::Sync))
}

fn built(wit: &str, mangling: ManglingAndAbi) -> Vec<u8> {
    let mut resolve = Resolve::default();
    // Where the text brings its own idea of the standard package, it stands for it.
    if !wit.contains("package purefold:reducer@") {
        resolve.push_str("reducer.wit", standard::WIT).unwrap();
    }
    let package = resolve.push_str("test.wit", wit).unwrap_or_else(|error| panic!("{error:#}"));
    let world = resolve.select_world(&[package], None).unwrap();
    let mut module = dummy_module(&resolve, world, mangling);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

/// The component of the only world of the package `wit`.
pub(crate) fn component(wit: &str) -> Vec<u8> {
    componentize(&module(wit)).unwrap_or_else(|error| panic!("{error}"))
}

/// As [`component`], its functions lifted asynchronously.
pub(crate) fn async_component(wit: &str) -> Vec<u8> {
    componentize(&built(wit, ManglingAndAbi::Legacy(LiftLowerAbi::AsyncCallback))).unwrap_or_else(|error| panic!("{error}"))
}

/// A reducer whose types are as small as they can be; a test replaces what it is about.
pub(crate) struct Reducer<'a> {
    /// Further types of the domain.
    pub(crate) types: &'a str,
    pub(crate) state: &'a str,
    pub(crate) input: &'a str,
    pub(crate) intent: &'a str,
    pub(crate) rejection: &'a str,
    pub(crate) transition: &'a str,
    pub(crate) reduce: &'a str,
    /// Further items of the world.
    pub(crate) world: &'a str,
}

impl Default for Reducer<'_> {
    fn default() -> Self {
        Reducer {
            types: "record ping { id: uuid }",
            state: "record state { count: u64 }",
            input: "variant input { ping(ping) }",
            intent: "variant intent { ping(ping), timer(timer) }",
            rejection: "enum rejection { no }",
            transition: "record transition { state: option<state>, intents: list<intent> }",
            reduce: "export reduce: func(ctx: context, state: option<state>, input: input) -> result<transition, rejection>;",
            world: "",
        }
    }
}

impl Reducer<'_> {
    pub(crate) fn wit(&self) -> String {
        let Reducer { types, state, input, intent, rejection, transition, reduce, world } = self;
        format!(
            "package test:domain@1.0.0;
            interface domain {{
                use purefold:reducer/types@1.0.0.{{instant, uuid, timer, timer-cancel, failure}};
                {types} {state} {input} {intent} {rejection} {transition}
            }}
            world reducer {{
                use purefold:reducer/types@1.0.0.{{context}};
                use domain.{{state, input, intent, rejection, transition}};
                {world}
                {reduce}
            }}"
        )
    }

    pub(crate) fn component(&self) -> Vec<u8> {
        component(&self.wit())
    }
}
